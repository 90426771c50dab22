#include <stdio.h>
int main(void) {
    for (;;) puts("is it this?");
}
