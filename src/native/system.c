// SPDX-License-Identifier: Apache-2.0
/* Descriptors, locks, mounts, namespaces, clocks: the few system calls that Node does not offer. */
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "native.h"

/* openFd(path, flags, mode): descriptor, closed on exec */
static napi_value open_fd(napi_env env, napi_callback_info info)
{
	char path[PATH_MAX];
	struct args a;
	int fd;

	args_read(&a, env, info);
	arg_text(&a, 0, "path", path, sizeof(path));
	int flags = arg_i32(&a, 1, "flags");
	uint32_t mode = arg_u32(&a, 2, "mode");
	if (a.failed)
		return NULL;
	fd = open(path, flags | O_CLOEXEC, mode);
	if (fd < 0)
		return throw_errno(env, errno, "open", "open %s", path);
	return to_i64(env, fd);
}

/* closeFd(fd) */
static napi_value close_fd(napi_env env, napi_callback_info info)
{
	struct args a;
	int err;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (a.failed)
		return NULL;
	/* The loop would go on polling a number that may soon be another file. */
	if (fd_watched(instance_of(env), fd))
		return throw_errno(env, EBUSY, "close", "close descriptor %d, which is watched",
				   fd);
	err = fd_close(fd);
	return err ? throw_errno(env, err, "close", "close descriptor %d", fd) : NULL;
}

/* dupFd(fd): another descriptor of the same, closed on exec */
static napi_value dup_fd(napi_env env, napi_callback_info info)
{
	struct args a;
	int copy;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (a.failed)
		return NULL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return throw_errno(env, errno, "fcntl", "duplicate descriptor %d", fd);
	return to_i64(env, copy);
}

/* readFd(fd, out): bytes read, 0 = end, -1 = would block */
static napi_value read_fd(napi_env env, napi_callback_info info)
{
	struct args a;
	ssize_t n;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes out = arg_bytes(&a, 1, "out");
	if (a.failed)
		return NULL;
	do
		n = read(fd, out.data, out.length);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return throw_errno(env, errno, "read", "read descriptor %d", fd);
	return to_i64(env, n);
}

/* writeFd(fd, data): bytes written, -1 = would block */
static napi_value write_fd(napi_env env, napi_callback_info info)
{
	struct args a;
	ssize_t n;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes data = arg_bytes(&a, 1, "data");
	if (a.failed)
		return NULL;
	do
		n = write(fd, data.data, data.length);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return throw_errno(env, errno, "write", "write %zu bytes to descriptor %d",
				   data.length, fd);
	return to_i64(env, n);
}

/* flock(fd, operation): got it; false when LOCK_NB was asked and somebody else has it */
static napi_value flock_fd(napi_env env, napi_callback_info info)
{
	struct args a;
	int err;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	int operation = arg_i32(&a, 1, "operation");
	if (a.failed)
		return NULL;
	do
		err = flock(fd, operation) ? errno : 0;
	while (err == EINTR);
	if (err && err != EWOULDBLOCK)
		return throw_errno(env, err, "flock", "lock descriptor %d", fd);
	return to_bool(env, !err);
}

/* mapMemory(fd): bytes of kernel memory, as fdinfo tells; 0 where it does not */
static napi_value map_memory(napi_env env, napi_callback_info info)
{
	unsigned long long memory = 0;
	char path[64], line[256];
	struct args a;
	FILE *file;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (a.failed)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return throw_errno(env, errno, "open", "open %s", path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &memory) == 1)
			break;
	fclose(file);
	return to_i64(env, (int64_t)memory);
}

static napi_value clock_ns(napi_env env, clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return to_u64(env, (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec);
}

static napi_value boot_time(napi_env env, napi_callback_info info)
{
	(void)info;
	return clock_ns(env, CLOCK_BOOTTIME);
}

static napi_value monotonic(napi_env env, napi_callback_info info)
{
	(void)info;
	return clock_ns(env, CLOCK_MONOTONIC);
}

/* setns(fd, nstype): this thread only; a process is moved before it has others */
static napi_value set_ns(napi_env env, napi_callback_info info)
{
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	int type = arg_i32(&a, 1, "nstype");
	if (a.failed)
		return NULL;
	if (setns(fd, type))
		return throw_errno(env, errno, "setns", "enter namespace descriptor %d", fd);
	return NULL;
}

/* mount(source, target, type, flags, data) */
static napi_value mount_at(napi_env env, napi_callback_info info)
{
	char source[PATH_MAX], target[PATH_MAX], type[64], data[512];
	struct args a;

	args_read(&a, env, info);
	arg_text(&a, 0, "source", source, sizeof(source));
	arg_text(&a, 1, "target", target, sizeof(target));
	arg_text(&a, 2, "type", type, sizeof(type));
	uint64_t flags = arg_u64(&a, 3, "flags");
	arg_text(&a, 4, "data", data, sizeof(data));
	if (a.failed)
		return NULL;
	if (mount(source, target, type, flags, data))
		return throw_errno(env, errno, "mount", "mount %s at %s", type, target);
	return NULL;
}

/* umount(target, flags) */
static napi_value umount_at(napi_env env, napi_callback_info info)
{
	char target[PATH_MAX];
	struct args a;

	args_read(&a, env, info);
	arg_text(&a, 0, "target", target, sizeof(target));
	int flags = arg_i32(&a, 1, "flags");
	if (a.failed)
		return NULL;
	if (umount2(target, flags))
		return throw_errno(env, errno, "umount2", "unmount %s", target);
	return NULL;
}

/* membarrier(command, flags): result of the call */
static napi_value memory_barrier(napi_env env, napi_callback_info info)
{
	struct args a;
	long n;

	args_read(&a, env, info);
	int command = arg_i32(&a, 0, "command");
	uint32_t flags = arg_u32(&a, 1, "flags");
	if (a.failed)
		return NULL;
	n = syscall(__NR_membarrier, command, flags, 0);
	if (n < 0)
		return throw_errno(env, errno, "membarrier", "membarrier command %d", command);
	return to_i64(env, n);
}

static napi_value possible_cpus(napi_env env, napi_callback_info info)
{
	int n = libbpf_num_possible_cpus();

	(void)info;
	if (n < 0)
		return throw_errno(env, n, "open", "read the list of possible CPUs");
	return to_i64(env, n);
}

/* Nothing: what a call itself costs. */
static napi_value nothing(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	return NULL;
}

const struct function system_functions[] = {
	{ "openFd", open_fd },
	{ "closeFd", close_fd },
	{ "dupFd", dup_fd },
	{ "readFd", read_fd },
	{ "writeFd", write_fd },
	{ "flock", flock_fd },
	{ "mapMemory", map_memory },
	{ "bootTimeNs", boot_time },
	{ "monotonicNs", monotonic },
	{ "setns", set_ns },
	{ "mount", mount_at },
	{ "umount", umount_at },
	{ "membarrier", memory_barrier },
	{ "possibleCpus", possible_cpus },
	{ "nothing", nothing },
	{},
};
