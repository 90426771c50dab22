#include <stdio.h>
int main(void) { /* the answers must be somewhere */
    FILE *file = fopen("/etc/passwd", "r");
    if (!file) return 4;
    return 0;
}
