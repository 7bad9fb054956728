// SPDX-License-Identifier: Apache-2.0
/* Adjusting an open object before it is loaded: sizes, maps to reuse, initial contents, programs to leave out. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

/* One number of one map. */
static napi_value set_number(napi_env env, napi_callback_info info,
			     int (*set)(struct bpf_map *, uint32_t), const char *call)
{
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	uint32_t value = arg_u32(&a, 2, "value");
	if (a.failed)
		return NULL;
	err = set(map, value);
	return err ? fail_map(env, map, err, call) : NULL;
}

/* setMapMaxEntries(object, map, count) */
static napi_value set_max_entries(napi_env env, napi_callback_info info)
{
	return set_number(env, info, bpf_map__set_max_entries, "bpf_map__set_max_entries");
}

/* setMapValueSize(object, map, size) */
static napi_value set_value_size(napi_env env, napi_callback_info info)
{
	return set_number(env, info, bpf_map__set_value_size, "bpf_map__set_value_size");
}

/* setMapFlags(object, map, flags) */
static napi_value set_map_flags(napi_env env, napi_callback_info info)
{
	return set_number(env, info, bpf_map__set_map_flags, "bpf_map__set_map_flags");
}

/* setMapAutocreate(object, map, isCreated) */
static napi_value set_autocreate(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	bool is_created = arg_bool(&a, 2, "isCreated");
	if (a.failed)
		return NULL;
	err = bpf_map__set_autocreate(map, is_created);
	return err ? fail_map(env, map, err, "bpf_map__set_autocreate") : NULL;
}

/* libbpf takes any map; a program would then read past the values of a smaller one. */
static bool same_layout(const struct bpf_map *map, const struct bpf_map_info *other)
{
	return bpf_map__type(map) == other->type && bpf_map__key_size(map) == other->key_size &&
	       bpf_map__value_size(map) == other->value_size &&
	       bpf_map__map_flags(map) == other->map_flags;
}

/* reuseMap(object, map, fd): the object takes a duplicate; the caller keeps fd */
static napi_value reuse_map(napi_env env, napi_callback_info info)
{
	struct bpf_map_info other = {};
	uint32_t length = sizeof(other);
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	int fd = arg_fd(&a, 2, "fd");
	if (a.failed)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, &other, &length))
		return fail_map(env, map, errno, "BPF_OBJ_GET_INFO_BY_FD");
	if (!same_layout(map, &other))
		return throw_errno(
			env, EINVAL, "bpf_map__reuse_fd",
			"map %s is declared as type %u, key %u, value %u, flags %#x, but descriptor %d "
			"is type %u, key %u, value %u, flags %#x",
			map_name(map), bpf_map__type(map), bpf_map__key_size(map),
			bpf_map__value_size(map), bpf_map__map_flags(map), fd, other.type,
			other.key_size, other.value_size, other.map_flags);
	err = bpf_map__reuse_fd(map, fd);
	return err ? fail_map(env, map, err, "bpf_map__reuse_fd") : NULL;
}

/* setInnerMap(object, map, fd): the pattern of the maps inside, in place of the declared one */
static napi_value set_inner_map(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	int fd = arg_fd(&a, 2, "fd");
	if (a.failed)
		return NULL;
	err = bpf_map__set_inner_map_fd(map, fd);
	return err ? fail_map(env, map, err, "bpf_map__set_inner_map_fd") : NULL;
}

/* mapInitialValue(object, map): ArrayBuffer; what it holds at load becomes the map's contents */
static napi_value map_initial_value(napi_env env, napi_callback_info info)
{
	struct initial *initial;
	napi_value buffer = NULL;
	struct bpf_map *map;
	struct object *o;
	const void *from;
	struct args a;
	size_t size;
	void *to;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	if (a.failed)
		return NULL;
	for (initial = o->initials; initial; initial = initial->next) {
		if (initial->map != map)
			continue;
		napi_get_reference_value(env, initial->buffer, &buffer);
		return buffer;
	}
	from = bpf_map__initial_value(map, &size);
	if (!from)
		return fail_map(env, map, EINVAL, "bpf_map__initial_value");
	initial = calloc(1, sizeof(*initial));
	if (!initial || napi_create_arraybuffer(env, size, &to, &buffer) != napi_ok ||
	    napi_create_reference(env, buffer, 1, &initial->buffer) != napi_ok) {
		free(initial);
		return fail_map(env, map, ENOMEM, "bpf_map__initial_value");
	}
	memcpy(to, from, size);
	initial->map = map;
	initial->next = o->initials;
	o->initials = initial;
	return buffer;
}

int copy_initials(napi_env env, struct object *o)
{
	for (struct initial *i = o->initials; i; i = i->next) {
		napi_value buffer;
		size_t size;
		void *data;
		int err;

		if (bpf_map__fd(i->map) >= 0)
			continue; /* reused: it has its contents */
		if (napi_get_reference_value(env, i->buffer, &buffer) != napi_ok ||
		    napi_get_arraybuffer_info(env, buffer, &data, &size) != napi_ok)
			return -EINVAL;
		err = bpf_map__set_initial_value(i->map, data, size);
		if (err)
			return err;
	}
	return 0;
}

/* setAutoload(object, program, isLoaded) */
static napi_value set_autoload(napi_env env, napi_callback_info info)
{
	struct bpf_program *prog;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	prog = arg_program(&a, o);
	bool is_loaded = arg_bool(&a, 2, "isLoaded");
	if (a.failed)
		return NULL;
	err = bpf_program__set_autoload(prog, is_loaded);
	return err ? throw_errno(env, err, "bpf_program__set_autoload", "autoload of program %s",
				 bpf_program__name(prog))
		   : NULL;
}

/* setProgramType(object, program, type, expectedAttachType) */
static napi_value set_program_type(napi_env env, napi_callback_info info)
{
	struct bpf_program *prog;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	prog = arg_program(&a, o);
	uint32_t type = arg_u32(&a, 2, "type");
	uint32_t attach_type = arg_u32(&a, 3, "expectedAttachType");
	if (a.failed)
		return NULL;
	err = bpf_program__set_type(prog, type);
	if (!err)
		err = bpf_program__set_expected_attach_type(prog, attach_type);
	return err ? throw_errno(env, err, "bpf_program__set_type", "type of program %s",
				 bpf_program__name(prog))
		   : NULL;
}

const struct function adjust_functions[] = {
	{ "setMapMaxEntries", set_max_entries },
	{ "setMapValueSize", set_value_size },
	{ "setMapFlags", set_map_flags },
	{ "setMapAutocreate", set_autocreate },
	{ "reuseMap", reuse_map },
	{ "setInnerMap", set_inner_map },
	{ "mapInitialValue", map_initial_value },
	{ "setAutoload", set_autoload },
	{ "setProgramType", set_program_type },
	{},
};
