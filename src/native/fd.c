// SPDX-License-Identifier: Apache-2.0
/*
 * File descriptors are integers and their owner closes them. The kernel moves as many bytes per map element
 * as the map has, whatever the caller's buffer holds; so the sizes are learnt here and kept per descriptor.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "native.h"

/*
 * Descriptor numbers belong to the process, not to an environment: a number closed by one thread may come
 * back as another map in the next. This count, the only state shared by environments, makes each forget.
 */
static _Atomic uint32_t closes;

struct instance *instance_of(napi_env env)
{
	void *data = NULL;

	napi_get_instance_data(env, &data);
	return data;
}

void fd_closed(void)
{
	atomic_fetch_add(&closes, 1);
}

uint32_t fd_closes(void)
{
	return atomic_load(&closes);
}

int fd_close(int fd)
{
	int err = close(fd) ? errno : 0;

	fd_closed();
	return err;
}

int sys_bpf(int cmd, void *attr, size_t size)
{
	return (int)syscall(__NR_bpf, cmd, attr, size);
}

static bool is_per_cpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

const struct map_shape *map_shape(napi_env env, int fd, const char *syscall)
{
	struct map_shape *shape = &instance_of(env)->shapes[(unsigned int)fd % MAP_CACHE];
	uint32_t now = fd_closes();
	struct bpf_map_info info = {};
	uint32_t length = sizeof(info);

	if (shape->fd == fd && shape->closes == now)
		return shape;
	if (bpf_obj_get_info_by_fd(fd, &info, &length)) {
		/* The kernel's own slip: everywhere else a closed descriptor is EBADF. */
		int err = errno == EBADFD ? EBADF : errno;

		throw_errno(env, err, syscall, "%s on descriptor %d", syscall, fd);
		return NULL;
	}
	/* A program or link answers too; the call that follows refuses it without touching memory. */
	*shape = (struct map_shape){
		.fd = fd,
		.closes = now,
		.type = info.type,
		.key = info.key_size,
		.value = info.value_size,
		.max_entries = info.max_entries,
	};
	if (is_per_cpu(info.type))
		shape->value = ((info.value_size + 7) & ~7u) * (uint32_t)libbpf_num_possible_cpus();
	return shape;
}
