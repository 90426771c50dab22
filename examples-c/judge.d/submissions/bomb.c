#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 100; i++) fork();
    return errno == EPERM ? 3 : 0;
}
