// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets that Node has not (AF_NETLINK, AF_PACKET), also in another network namespace. Addresses are raw
 * struct sockaddr bytes; all sockets are non-blocking, and "would block" is the value -1, no error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "native.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/*
 * Runs `make` with this thread in the given namespace and comes back. A thread that cannot come back would
 * go on in the wrong network, so that ends the process.
 */
static int in_netns(int netns, int (*make)(void *), void *arg)
{
	int home, out, err;

	if (netns < 0)
		return make(arg);
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return -1;
	if (setns(netns, CLONE_NEWNET)) {
		err = errno;
		close(home);
		errno = err;
		return -1;
	}
	out = make(arg);
	err = errno;
	if (setns(home, CLONE_NEWNET))
		napi_fatal_error("in_netns", NAPI_AUTO_LENGTH,
				 "cannot return to the network namespace", NAPI_AUTO_LENGTH);
	close(home);
	errno = err;
	return out;
}

struct socket_kind {
	int domain;
	int type;
	int protocol;
};

static int make_socket(void *arg)
{
	const struct socket_kind *kind = arg;

	return socket(kind->domain, kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, kind->protocol);
}

/* socketIn(netnsFd or -1, domain, type, protocol): descriptor */
static napi_value socket_in(napi_env env, napi_callback_info info)
{
	struct socket_kind kind;
	struct args a;
	int fd;

	args_read(&a, env, info);
	int netns = arg_i32(&a, 0, "netnsFd");
	kind.domain = arg_i32(&a, 1, "domain");
	kind.type = arg_i32(&a, 2, "type");
	kind.protocol = arg_i32(&a, 3, "protocol");
	if (a.failed)
		return NULL;
	fd = in_netns(netns, make_socket, &kind);
	if (fd < 0)
		return throw_errno(env, errno, "socket", "open socket (domain %d, protocol %d)",
				   kind.domain, kind.protocol);
	return to_i64(env, fd);
}

/* bind(fd, address) */
static napi_value socket_bind(napi_env env, napi_callback_info info)
{
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes address = arg_bytes(&a, 1, "address");
	if (a.failed)
		return NULL;
	if (bind(fd, address.data, (socklen_t)address.length))
		return throw_errno(env, errno, "bind", "bind socket descriptor %d", fd);
	return NULL;
}

/* connect(fd, address) */
static napi_value socket_connect(napi_env env, napi_callback_info info)
{
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes address = arg_bytes(&a, 1, "address");
	if (a.failed)
		return NULL;
	if (connect(fd, address.data, (socklen_t)address.length))
		return throw_errno(env, errno, "connect", "connect socket descriptor %d", fd);
	return NULL;
}

/* sockName(fd, out): length of the address the kernel gave */
static napi_value socket_name(napi_env env, napi_callback_info info)
{
	socklen_t length;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes out = arg_bytes(&a, 1, "out");
	if (a.failed)
		return NULL;
	length = (socklen_t)out.length;
	if (getsockname(fd, out.data, &length))
		return throw_errno(env, errno, "getsockname", "name of socket descriptor %d", fd);
	return to_u32(env, length);
}

/* send(fd, data, address or null, flags): bytes sent, -1 = would block */
static napi_value socket_send(napi_env env, napi_callback_info info)
{
	struct args a;
	ssize_t n;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes data = arg_bytes(&a, 1, "data");
	struct bytes address = arg_bytes_optional(&a, 2, "address");
	int flags = arg_i32(&a, 3, "flags");
	if (a.failed)
		return NULL;
	do
		n = sendto(fd, data.data, data.length, flags | MSG_NOSIGNAL,
			   address.length ? address.data : NULL, (socklen_t)address.length);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return throw_errno(env, errno, "sendto", "send %zu bytes on socket descriptor %d",
				   data.length, fd);
	return to_i64(env, n);
}

/* recv(fd, out, address or null, flags): bytes received, -1 = would block; with MSG_TRUNC the true length */
static napi_value socket_recv(napi_env env, napi_callback_info info)
{
	socklen_t length;
	struct args a;
	ssize_t n;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes out = arg_bytes(&a, 1, "out");
	struct bytes address = arg_bytes_optional(&a, 2, "address");
	int flags = arg_i32(&a, 3, "flags");
	if (a.failed)
		return NULL;
	do {
		length = (socklen_t)address.length;
		n = recvfrom(fd, out.data, out.length, flags, address.length ? address.data : NULL,
			     address.length ? &length : NULL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return throw_errno(env, errno, "recvfrom", "receive on socket descriptor %d", fd);
	return to_i64(env, n);
}

/* setsockopt(fd, level, name, value) */
static napi_value set_option(napi_env env, napi_callback_info info)
{
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	int level = arg_i32(&a, 1, "level");
	int name = arg_i32(&a, 2, "name");
	struct bytes value = arg_bytes(&a, 3, "value");
	if (a.failed)
		return NULL;
	if (setsockopt(fd, level, name, value.data, (socklen_t)value.length))
		return throw_errno(env, errno, "setsockopt",
				   "option %d of level %d on socket descriptor %d", name, level,
				   fd);
	return NULL;
}

/* getsockopt(fd, level, name, out): length */
static napi_value get_option(napi_env env, napi_callback_info info)
{
	socklen_t length;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	int level = arg_i32(&a, 1, "level");
	int name = arg_i32(&a, 2, "name");
	struct bytes out = arg_bytes(&a, 3, "out");
	if (a.failed)
		return NULL;
	length = (socklen_t)out.length;
	if (getsockopt(fd, level, name, out.data, &length))
		return throw_errno(env, errno, "getsockopt",
				   "option %d of level %d on socket descriptor %d", name, level,
				   fd);
	return to_u32(env, length);
}

/* netnsCookie(netnsFd or -1): the kernel's number of a network namespace, never used twice per boot */
static napi_value netns_cookie(napi_env env, napi_callback_info info)
{
	struct socket_kind kind = { AF_UNIX, SOCK_DGRAM, 0 };
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);
	struct args a;
	int fd, err;

	args_read(&a, env, info);
	int netns = arg_i32(&a, 0, "netnsFd");
	if (a.failed)
		return NULL;
	fd = in_netns(netns, make_socket, &kind);
	if (fd < 0)
		return throw_errno(env, errno, "socket",
				   "cookie of network namespace descriptor %d", netns);
	err = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) ? errno : 0;
	fd_close(fd);
	if (err)
		return throw_errno(env, err, "getsockopt",
				   "cookie of network namespace descriptor %d", netns);
	return to_u64(env, cookie);
}

static int make_netns(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWNET))
		return -1;
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* netnsCreate(): descriptor of a new, empty network namespace; the caller stays where it is */
static napi_value netns_create(napi_env env, napi_callback_info info)
{
	int home, fd;

	(void)info;
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return throw_errno(env, errno, "open", "own network namespace");
	/* Entering the own namespace changes nothing; leaving it again undoes unshare(2). */
	fd = in_netns(home, make_netns, NULL);
	int err = errno;
	close(home);
	if (fd < 0)
		return throw_errno(env, err, "unshare", "make a network namespace");
	return to_i64(env, fd);
}

const struct function socket_functions[] = {
	{ "socketIn", socket_in },
	{ "bind", socket_bind },
	{ "connect", socket_connect },
	{ "sockName", socket_name },
	{ "send", socket_send },
	{ "recv", socket_recv },
	{ "setsockopt", set_option },
	{ "getsockopt", get_option },
	{ "netnsCookie", netns_cookie },
	{ "netnsCreate", netns_create },
	{},
};
