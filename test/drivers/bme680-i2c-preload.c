/*
 * Makes /dev/i2c-N out of a Unix socket: preloaded into a process, it turns open("/dev/i2c-…") into a connection to the
 * socket named by FENDER_I2C_SOCKET, and the ioctls of Linux' i2c-dev (Documentation/i2c/dev-interface) on it into
 * requests to whoever listens there. What is not ours goes to the C library.
 *
 * After connecting, the listener sends one byte: 0, or the errno with which open() fails. A request is 36 bytes:
 * operation (0 read, 1 write, 2 choose the address), address, register, length, 32 bytes of data; an answer is 34 bytes:
 * errno, length, 32 bytes of data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { OP_READ, OP_WRITE, OP_ADDRESS };

static const char PREFIX[] = "/dev/i2c-";
static const unsigned long FUNCTIONS = I2C_FUNC_I2C | I2C_FUNC_SMBUS_READ_BYTE_DATA | I2C_FUNC_SMBUS_WRITE_BYTE_DATA |
                                       I2C_FUNC_SMBUS_READ_I2C_BLOCK | I2C_FUNC_SMBUS_WRITE_I2C_BLOCK;

/* The address that I2C_SLAVE chose, by file descriptor. */
static uint8_t addresses[4096];

static int socket_address(struct sockaddr_un *address)
{
    const char *path = getenv("FENDER_I2C_SOCKET");
    if (!path || strlen(path) >= sizeof address->sun_path)
        return -1;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    return 0;
}

static int transfer_all(int fd, void *bytes, size_t length, int writing)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t done = writing ? send(fd, at, length, MSG_NOSIGNAL) : recv(fd, at, length, 0);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        at += done;
        length -= (size_t)done;
    }
    return 0;
}

static int open_bus(void)
{
    struct sockaddr_un address;
    uint8_t refusal = ENOENT;
    int fd;
    if (socket_address(&address) != 0) {
        errno = ENOENT;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || transfer_all(fd, &refusal, 1, 0) != 0)
        refusal = ENOENT;
    if (refusal == 0 && fd < (int)sizeof addresses) {
        addresses[fd] = 0;
        return fd;
    }
    close(fd);
    errno = refusal ? refusal : EMFILE;
    return -1;
}

/* Whether a file descriptor is a connection to our socket. */
static int is_bus(int fd)
{
    struct sockaddr_un ours, theirs;
    socklen_t length = sizeof theirs;
    memset(&theirs, 0, sizeof theirs);
    if (fd < 0 || fd >= (int)sizeof addresses || socket_address(&ours) != 0)
        return 0;
    return getpeername(fd, (struct sockaddr *)&theirs, &length) == 0 && theirs.sun_family == AF_UNIX &&
           strcmp(ours.sun_path, theirs.sun_path) == 0;
}

/* One request and its answer; data holds up to 32 bytes each way. Returns the answer's length, or -1 and errno. */
static int ask(int fd, uint8_t operation, uint8_t address, uint8_t reg, uint8_t length, uint8_t *data)
{
    uint8_t request[36] = {operation, address, reg, length};
    uint8_t answer[34];
    memcpy(request + 4, data, 32);
    if (transfer_all(fd, request, sizeof request, 1) != 0 || transfer_all(fd, answer, sizeof answer, 0) != 0) {
        errno = ENODEV;
        return -1;
    }
    if (answer[0] != 0) {
        errno = answer[0];
        return -1;
    }
    memcpy(data, answer + 2, 32);
    return answer[1];
}

static int smbus(int fd, struct i2c_smbus_ioctl_data *call)
{
    uint8_t data[32] = {0};
    uint8_t operation = call->read_write == I2C_SMBUS_READ ? OP_READ : OP_WRITE;
    int length;
    if (call->size == I2C_SMBUS_BYTE_DATA) {
        data[0] = call->data->byte;
        length = ask(fd, operation, addresses[fd], call->command, 1, data);
        if (length == 1)
            call->data->byte = data[0];
    } else if (call->size == I2C_SMBUS_I2C_BLOCK_DATA || call->size == I2C_SMBUS_I2C_BLOCK_BROKEN) {
        /* The "broken" kind is how 32 bytes used to be asked for; the kernel still takes it so. */
        if (call->size == I2C_SMBUS_I2C_BLOCK_BROKEN && operation == OP_READ)
            call->data->block[0] = 32;
        if (call->data->block[0] > 32) {
            errno = EINVAL;
            return -1;
        }
        memcpy(data, call->data->block + 1, 32);
        length = ask(fd, operation, addresses[fd], call->command, call->data->block[0], data);
        if (length >= 0 && operation == OP_READ) {
            call->data->block[0] = (uint8_t)length;
            memcpy(call->data->block + 1, data, 32);
        }
    } else {
        errno = EOPNOTSUPP;
        return -1;
    }
    return length < 0 ? -1 : 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    uint8_t nothing[32] = {0};
    va_list arguments;
    void *argument;
    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if ((request >> 8) == 0x07 && is_bus(fd)) {
        switch (request) {
        case I2C_FUNCS:
            *(unsigned long *)argument = FUNCTIONS;
            return 0;
        case I2C_SLAVE:
        case I2C_SLAVE_FORCE:
            if (ask(fd, OP_ADDRESS, (uint8_t)(uintptr_t)argument, 0, 0, nothing) < 0)
                return -1;
            addresses[fd] = (uint8_t)(uintptr_t)argument;
            return 0;
        case I2C_SMBUS:
            return smbus(fd, argument);
        default:
            errno = ENOTTY;
            return -1;
        }
    }
    int (*next)(int, unsigned long, void *) = (int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, argument);
}

#define INTERPOSE_OPEN(name)                                                                                           \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        mode_t mode;                                                                                                   \
        int (*next)(const char *, int, mode_t);                                                                        \
        va_start(arguments, flags);                                                                                    \
        mode = va_arg(arguments, mode_t);                                                                              \
        va_end(arguments);                                                                                             \
        if (strncmp(path, PREFIX, sizeof PREFIX - 1) == 0)                                                             \
            return open_bus();                                                                                         \
        next = (int (*)(const char *, int, mode_t))dlsym(RTLD_NEXT, #name);                                            \
        return next(path, flags, mode);                                                                                \
    }

INTERPOSE_OPEN(open)
INTERPOSE_OPEN(open64)
