#include <stddef.h>
int main(void) {
    volatile int *volatile nowhere = NULL;
    return *nowhere;
}
