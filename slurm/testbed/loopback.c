/* SLURM's daemons bind to every address of the machine, and can at best be told to bind to that
 * of its host name. Preloaded into them, this binds "every address" to the one in
 * SLURM_TESTBED_ADDRESS. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

int bind(int descriptor, const struct sockaddr *address, socklen_t length)
{
    int (*system_bind)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    const char *own_address = getenv("SLURM_TESTBED_ADDRESS");

    if (own_address && address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in bound = *(const struct sockaddr_in *)address;
        if (bound.sin_addr.s_addr == htonl(INADDR_ANY))
            bound.sin_addr.s_addr = inet_addr(own_address);
        return system_bind(descriptor, (const struct sockaddr *)&bound, sizeof bound);
    }
    return system_bind(descriptor, address, length);
}
