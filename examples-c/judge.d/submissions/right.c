#include <stdio.h>
int main(void) {
    long long count, sum = 0, next;
    if (scanf("%lld", &count) != 1) return 1;
    while (count-- > 0 && scanf("%lld", &next) == 1) sum += next;
    printf("%lld\n", sum);
    return 0;
}
