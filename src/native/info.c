// SPDX-License-Identifier: Apache-2.0
/* What the kernel tells of maps, programs and links; ids; pins. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define MAX_PROGRAM_MAPS 256

/* mapInfo(fd) */
static napi_value map_info(napi_env env, napi_callback_info info)
{
	struct bpf_map_info map = {};
	uint32_t length = sizeof(map);
	napi_value out;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (a.failed)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, &map, &length))
		return throw_errno(env, errno, "BPF_OBJ_GET_INFO_BY_FD",
				   "info of map descriptor %d", fd);
	napi_create_object(env, &out);
	put(env, out, "id", to_u32(env, map.id));
	put(env, out, "type", to_u32(env, map.type));
	put(env, out, "name", to_text(env, map.name));
	put(env, out, "keySize", to_u32(env, map.key_size));
	put(env, out, "valueSize", to_u32(env, map.value_size));
	put(env, out, "maxEntries", to_u32(env, map.max_entries));
	put(env, out, "flags", to_u32(env, map.map_flags));
	put(env, out, "btfId", to_u32(env, map.btf_id));
	return out;
}

static napi_value map_id_list(napi_env env, const uint32_t *ids, uint32_t count)
{
	napi_value list;

	napi_create_array(env, &list);
	for (uint32_t i = 0; i < count; i++)
		napi_set_element(env, list, i, to_u32(env, ids[i]));
	return list;
}

/* progInfo(fd) */
static napi_value prog_info(napi_env env, napi_callback_info info)
{
	uint32_t ids[MAX_PROGRAM_MAPS];
	struct bpf_prog_info prog = {
		.nr_map_ids = MAX_PROGRAM_MAPS,
		.map_ids = (uint64_t)(uintptr_t)ids,
	};
	uint32_t length = sizeof(prog);
	char tag[2 * BPF_TAG_SIZE + 1];
	napi_value out;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (a.failed)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, &prog, &length))
		return throw_errno(env, errno, "BPF_OBJ_GET_INFO_BY_FD",
				   "info of program descriptor %d", fd);
	for (int i = 0; i < BPF_TAG_SIZE; i++)
		snprintf(tag + 2 * i, 3, "%02x", prog.tag[i]);
	if (prog.nr_map_ids > MAX_PROGRAM_MAPS)
		prog.nr_map_ids = MAX_PROGRAM_MAPS;
	napi_create_object(env, &out);
	put(env, out, "id", to_u32(env, prog.id));
	put(env, out, "type", to_u32(env, prog.type));
	put(env, out, "name", to_text(env, prog.name));
	put(env, out, "tag", to_text(env, tag));
	put(env, out, "xlatedBytes", to_u32(env, prog.xlated_prog_len));
	put(env, out, "jitedBytes", to_u32(env, prog.jited_prog_len));
	put(env, out, "verifiedInstructions", to_u32(env, prog.verified_insns));
	put(env, out, "loadedBootNs", to_u64(env, prog.load_time));
	put(env, out, "runCount", to_u64(env, prog.run_cnt));
	put(env, out, "runTimeNs", to_u64(env, prog.run_time_ns));
	put(env, out, "mapIds", map_id_list(env, ids, prog.nr_map_ids));
	return out;
}

/*
 * struct bpf_link_info of a kernel with tcx; the header this is built with may be older. Only what is read
 * here is spelled out.
 */
struct link_info {
	uint32_t type;
	uint32_t id;
	uint32_t prog_id;
	uint32_t pad;
	union {
		struct {
			uint32_t ifindex;
			uint32_t attach_type;
		} device; /* tcx, XDP, netkit */
		struct {
			uint64_t id;
			uint32_t attach_type;
		} cgroup;
		struct {
			uint64_t target_name;
			uint32_t target_name_len;
			uint32_t map_id;
		} iter;
		uint8_t room[64];
	};
};

#define LINK_TYPE_CGROUP 3
#define LINK_TYPE_ITER 4
#define LINK_TYPE_XDP 6
#define LINK_TYPE_TCX 11
#define LINK_TYPE_NETKIT 13
#define ATTACH_XDP 37

/* linkInfo(fd) */
static napi_value link_info(napi_env env, napi_callback_info info)
{
	struct link_info link = {};
	uint32_t length = sizeof(link);
	napi_value out;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (a.failed)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, &link, &length))
		return throw_errno(env, errno, "BPF_OBJ_GET_INFO_BY_FD",
				   "info of link descriptor %d", fd);
	napi_create_object(env, &out);
	put(env, out, "id", to_u32(env, link.id));
	put(env, out, "type", to_u32(env, link.type));
	put(env, out, "progId", to_u32(env, link.prog_id));
	switch (link.type) {
	case LINK_TYPE_XDP:
		put(env, out, "ifindex", to_u32(env, link.device.ifindex));
		put(env, out, "attachType", to_u32(env, ATTACH_XDP));
		break;
	case LINK_TYPE_TCX:
	case LINK_TYPE_NETKIT:
		put(env, out, "ifindex", to_u32(env, link.device.ifindex));
		put(env, out, "attachType", to_u32(env, link.device.attach_type));
		break;
	case LINK_TYPE_CGROUP:
		put(env, out, "cgroupId", to_u64(env, link.cgroup.id));
		put(env, out, "attachType", to_u32(env, link.cgroup.attach_type));
		break;
	case LINK_TYPE_ITER:
		put(env, out, "mapId", to_u32(env, link.iter.map_id));
		break;
	}
	return out;
}

typedef int (*next_id)(uint32_t start, uint32_t *next);

static napi_value ids(napi_env env, next_id next, const char *syscall)
{
	napi_value list;
	uint32_t id = 0, n = 0;

	napi_create_array(env, &list);
	while (!next(id, &id))
		napi_set_element(env, list, n++, to_u32(env, id));
	return errno == ENOENT ? list : throw_errno(env, errno, syscall, "list ids after %u", id);
}

static napi_value map_ids(napi_env env, napi_callback_info info)
{
	(void)info;
	return ids(env, bpf_map_get_next_id, "BPF_MAP_GET_NEXT_ID");
}

static napi_value prog_ids(napi_env env, napi_callback_info info)
{
	(void)info;
	return ids(env, bpf_prog_get_next_id, "BPF_PROG_GET_NEXT_ID");
}

static napi_value link_ids(napi_env env, napi_callback_info info)
{
	(void)info;
	return ids(env, bpf_link_get_next_id, "BPF_LINK_GET_NEXT_ID");
}

static napi_value by_id(napi_env env, napi_callback_info info, int (*get)(uint32_t),
			const char *what, const char *syscall)
{
	struct args a;
	int fd;

	args_read(&a, env, info);
	uint32_t id = arg_u32(&a, 0, "id");
	if (a.failed)
		return NULL;
	fd = get(id);
	if (fd < 0)
		return throw_errno(env, errno, syscall, "open %s %u", what, id);
	return to_i64(env, fd);
}

static napi_value map_by_id(napi_env env, napi_callback_info info)
{
	return by_id(env, info, bpf_map_get_fd_by_id, "map", "BPF_MAP_GET_FD_BY_ID");
}

static napi_value prog_by_id(napi_env env, napi_callback_info info)
{
	return by_id(env, info, bpf_prog_get_fd_by_id, "program", "BPF_PROG_GET_FD_BY_ID");
}

static napi_value link_by_id(napi_env env, napi_callback_info info)
{
	return by_id(env, info, bpf_link_get_fd_by_id, "link", "BPF_LINK_GET_FD_BY_ID");
}

/* objPin(fd, path) */
static napi_value obj_pin(napi_env env, napi_callback_info info)
{
	char path[PATH_MAX];
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	arg_text(&a, 1, "path", path, sizeof(path));
	if (a.failed)
		return NULL;
	if (bpf_obj_pin(fd, path))
		return throw_errno(env, errno, "BPF_OBJ_PIN", "pin %s", path);
	return NULL;
}

/* objGet(path, flags): descriptor of what is pinned there */
static napi_value obj_get(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts);
	char path[PATH_MAX];
	struct args a;
	int fd;

	args_read(&a, env, info);
	arg_text(&a, 0, "path", path, sizeof(path));
	opts.file_flags = arg_u32(&a, 1, "flags");
	if (a.failed)
		return NULL;
	fd = bpf_obj_get_opts(path, &opts);
	if (fd < 0)
		return throw_errno(env, errno, "BPF_OBJ_GET", "open pin %s", path);
	return to_i64(env, fd);
}

const struct function info_functions[] = {
	{ "mapInfo", map_info },  { "progInfo", prog_info },  { "linkInfo", link_info },
	{ "mapIds", map_ids },    { "progIds", prog_ids },    { "linkIds", link_ids },
	{ "mapById", map_by_id }, { "progById", prog_by_id }, { "linkById", link_by_id },
	{ "objPin", obj_pin },    { "objGet", obj_get },      {},
};
