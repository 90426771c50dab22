#include <stdio.h>
int main(void) { /* an int is too small for the second test */
    int count, sum = 0, next;
    if (scanf("%d", &count) != 1) return 1;
    while (count-- > 0 && scanf("%d", &next) == 1) sum = (int)((unsigned)sum + (unsigned)next);
    printf("%d\n", sum);
    return 0;
}
