// SPDX-License-Identifier: Apache-2.0
/* Elements of maps, one by one and in batches. Buffers are checked against the sizes the kernel will move. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "native.h"

#define NOEXIST_OR_EXIST 3

static napi_value fail(napi_env env, int fd, int err, const char *syscall)
{
	struct bpf_map_info info = {};
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		info.name[0] = '\0';
	return throw_errno(env, err, syscall, "%s on map %s (descriptor %d)", syscall,
			   info.name[0] ? info.name : "?", fd);
}

static const struct map_shape *shape_of(struct args *a, int fd, const char *syscall)
{
	const struct map_shape *shape;

	if (a->failed)
		return NULL;
	shape = map_shape(a->env, fd, syscall);
	if (!shape)
		a->failed = true;
	return shape;
}

static void need(struct args *a, struct bytes bytes, uint64_t size, const char *name)
{
	char want[64];

	if (a->failed || bytes.length >= size)
		return;
	snprintf(want, sizeof(want), "of %llu bytes or more", (unsigned long long)size);
	arg_wrong(a, name, want);
}

/* mapCreate(type, name, keySize, valueSize, maxEntries, flags, innerFd, extra): descriptor */
static napi_value map_create(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	char name[NAME_MAX_BPF];
	struct args a;
	int fd;

	args_read(&a, env, info);
	uint32_t type = arg_u32(&a, 0, "type");
	arg_text(&a, 1, "name", name, sizeof(name));
	uint32_t key_size = arg_u32(&a, 2, "keySize");
	uint32_t value_size = arg_u32(&a, 3, "valueSize");
	uint32_t max_entries = arg_u32(&a, 4, "maxEntries");
	opts.map_flags = arg_u32(&a, 5, "flags");
	if (!arg_absent(&a, 6))
		opts.inner_map_fd = (uint32_t)arg_fd(&a, 6, "innerFd");
	opts.map_extra = arg_absent(&a, 7) ? 0 : arg_u64(&a, 7, "extra");
	if (a.failed)
		return NULL;
	fd = bpf_map_create(type, name, key_size, value_size, max_entries, &opts);
	if (fd < 0)
		return throw_errno(env, fd, "BPF_MAP_CREATE",
				   "create map %s (type %u, key %u, value %u, %u entries)", name,
				   type, key_size, value_size, max_entries);
	return to_i64(env, fd);
}

/* mapLookup(fd, key, out, flags): found */
static napi_value map_lookup(napi_env env, napi_callback_info info)
{
	const struct map_shape *shape;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes key = arg_bytes(&a, 1, "key");
	struct bytes out = arg_bytes(&a, 2, "out");
	uint64_t flags = a.count > 3 ? arg_u64(&a, 3, "flags") : 0;
	shape = shape_of(&a, fd, "BPF_MAP_LOOKUP_ELEM");
	if (a.failed)
		return NULL;
	need(&a, key, shape->key, "key");
	need(&a, out, shape->value, "out");
	if (a.failed)
		return NULL;
	if (!bpf_map_lookup_elem_flags(fd, key.data, out.data, flags))
		return to_bool(env, true);
	return errno == ENOENT ? to_bool(env, false) : fail(env, fd, errno, "BPF_MAP_LOOKUP_ELEM");
}

/* mapUpdate(fd, key, value, flags): written, false when NOEXIST or EXIST forbade it */
static napi_value map_update(napi_env env, napi_callback_info info)
{
	const struct map_shape *shape;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes key = arg_bytes(&a, 1, "key");
	struct bytes value = arg_bytes(&a, 2, "value");
	uint64_t flags = a.count > 3 ? arg_u64(&a, 3, "flags") : 0;
	shape = shape_of(&a, fd, "BPF_MAP_UPDATE_ELEM");
	if (a.failed)
		return NULL;
	need(&a, key, shape->key, "key");
	need(&a, value, shape->value, "value");
	if (a.failed)
		return NULL;
	if (!bpf_map_update_elem(fd, key.data, value.data, flags))
		return to_bool(env, true);
	if ((flags & NOEXIST_OR_EXIST) && (errno == EEXIST || errno == ENOENT))
		return to_bool(env, false);
	return fail(env, fd, errno, "BPF_MAP_UPDATE_ELEM");
}

/* mapDelete(fd, key): was there */
static napi_value map_delete(napi_env env, napi_callback_info info)
{
	const struct map_shape *shape;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes key = arg_bytes(&a, 1, "key");
	shape = shape_of(&a, fd, "BPF_MAP_DELETE_ELEM");
	if (a.failed)
		return NULL;
	need(&a, key, shape->key, "key");
	if (a.failed)
		return NULL;
	if (!bpf_map_delete_elem(fd, key.data))
		return to_bool(env, true);
	return errno == ENOENT ? to_bool(env, false) : fail(env, fd, errno, "BPF_MAP_DELETE_ELEM");
}

/* mapNextKey(fd, key or null, out): there is one */
static napi_value map_next_key(napi_env env, napi_callback_info info)
{
	const struct map_shape *shape;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	bool first = arg_absent(&a, 1);
	struct bytes key = arg_bytes_optional(&a, 1, "key");
	struct bytes out = arg_bytes(&a, 2, "out");
	shape = shape_of(&a, fd, "BPF_MAP_GET_NEXT_KEY");
	if (a.failed)
		return NULL;
	if (!first)
		need(&a, key, shape->key, "key");
	need(&a, out, shape->key, "out");
	if (a.failed)
		return NULL;
	if (!bpf_map_get_next_key(fd, first ? NULL : key.data, out.data))
		return to_bool(env, true);
	return errno == ENOENT ? to_bool(env, false) : fail(env, fd, errno, "BPF_MAP_GET_NEXT_KEY");
}

/* A batch that stopped: the error tells how many elements were done. */
static napi_value fail_batch(napi_env env, int fd, int err, const char *syscall, uint32_t done)
{
	napi_value error = NULL;

	fail(env, fd, err, syscall);
	if (napi_get_and_clear_last_exception(env, &error) != napi_ok)
		return NULL;
	put(env, error, "done", to_u32(env, err == EFAULT ? 0 : done));
	napi_throw(env, error);
	return NULL;
}

/* mapUpdateBatch(fd, keys, values, count, flags) */
static napi_value map_update_batch(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	const struct map_shape *shape;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes keys = arg_bytes(&a, 1, "keys");
	struct bytes values = arg_bytes(&a, 2, "values");
	uint32_t count = arg_u32(&a, 3, "count");
	opts.elem_flags = a.count > 4 ? arg_u64(&a, 4, "flags") : 0;
	shape = shape_of(&a, fd, "BPF_MAP_UPDATE_BATCH");
	if (a.failed)
		return NULL;
	need(&a, keys, (uint64_t)count * shape->key, "keys");
	need(&a, values, (uint64_t)count * shape->value, "values");
	if (a.failed || !count)
		return NULL;
	if (bpf_map_update_batch(fd, keys.data, values.data, &count, &opts))
		return fail_batch(env, fd, errno, "BPF_MAP_UPDATE_BATCH", count);
	return NULL;
}

/* mapDeleteBatch(fd, keys, count) */
static napi_value map_delete_batch(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	const struct map_shape *shape;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes keys = arg_bytes(&a, 1, "keys");
	uint32_t count = arg_u32(&a, 2, "count");
	shape = shape_of(&a, fd, "BPF_MAP_DELETE_BATCH");
	if (a.failed)
		return NULL;
	need(&a, keys, (uint64_t)count * shape->key, "keys");
	if (a.failed || !count)
		return NULL;
	if (bpf_map_delete_batch(fd, keys.data, &count, &opts))
		return fail_batch(env, fd, errno, "BPF_MAP_DELETE_BATCH", count);
	return NULL;
}

/*
 * mapLookupBatch(fd, cursor, isFirst, keys, values, count, isDelete): elements read; -1 - elements when
 * these were the last. The cursor is rewritten in place.
 */
static napi_value map_lookup_batch(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	const struct map_shape *shape;
	struct args a;
	int err;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	struct bytes cursor = arg_bytes(&a, 1, "cursor");
	bool is_first = arg_bool(&a, 2, "isFirst");
	struct bytes keys = arg_bytes(&a, 3, "keys");
	struct bytes values = arg_bytes(&a, 4, "values");
	uint32_t count = arg_u32(&a, 5, "count");
	bool is_delete = arg_bool(&a, 6, "isDelete");
	const char *syscall =
		is_delete ? "BPF_MAP_LOOKUP_AND_DELETE_BATCH" : "BPF_MAP_LOOKUP_BATCH";
	shape = shape_of(&a, fd, syscall);
	if (a.failed)
		return NULL;
	/* Hashes keep a bucket number in the cursor, others a key. */
	need(&a, cursor, shape->key > 4 ? shape->key : 4, "cursor");
	need(&a, keys, (uint64_t)count * shape->key, "keys");
	need(&a, values, (uint64_t)count * shape->value, "values");
	if (a.failed)
		return NULL;
	err = (is_delete ? bpf_map_lookup_and_delete_batch
			 : bpf_map_lookup_batch)(fd, is_first ? NULL : cursor.data, cursor.data,
						 keys.data, values.data, &count, &opts);
	if (!err)
		return to_i64(env, count);
	if (errno == ENOENT)
		return to_i64(env, -1 - (int64_t)count);
	return fail_batch(env, fd, errno, syscall, count);
}

/* mapFreeze(fd): no more writes by system calls */
static napi_value map_freeze(napi_env env, napi_callback_info info)
{
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (a.failed)
		return NULL;
	return bpf_map_freeze(fd) ? fail(env, fd, errno, "BPF_MAP_FREEZE") : NULL;
}

const struct function map_functions[] = {
	{ "mapCreate", map_create },
	{ "mapLookup", map_lookup },
	{ "mapUpdate", map_update },
	{ "mapDelete", map_delete },
	{ "mapNextKey", map_next_key },
	{ "mapUpdateBatch", map_update_batch },
	{ "mapDeleteBatch", map_delete_batch },
	{ "mapLookupBatch", map_lookup_batch },
	{ "mapFreeze", map_freeze },
	{},
};
