/* Makes a 32-bit system call, which a 64-bit filter would not see. Outside: kernels without 32 bit exist.
 * inside: signalled exited
 * outside: maybe */
#include <stdio.h>
int main(void)
{
    long r = -38;
#ifdef __x86_64__
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L));
#endif
    if (r > 0) puts("REACHED");
    return 0;
}
