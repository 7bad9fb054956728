// SPDX-License-Identifier: Apache-2.0
/*
 * BPF objects: open (reads the file, touches nothing) and close, and what is in them. Descriptors of a
 * loaded object belong to it and close with it.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

static const napi_type_tag object_tag = { 0x6d65726c6f6e6f62, 0x6a65637400000001 };

/* libbpf's callback has no argument, hence one listener per thread. */
static _Thread_local struct warnings *listening;

static int listen(enum libbpf_print_level level, const char *fmt, va_list args)
{
	struct warnings *w = listening;
	int n;

	if (!w || level != LIBBPF_WARN || w->length + 1 >= sizeof(w->text))
		return 0;
	n = vsnprintf(w->text + w->length, sizeof(w->text) - w->length, fmt, args);
	if (n > 0)
		w->length += (size_t)n;
	if (w->length >= sizeof(w->text))
		w->length = sizeof(w->text) - 1;
	return 0;
}

void object_setup(void)
{
	libbpf_set_print(listen);
}

void object_listen(struct warnings *w)
{
	listening = w;
}

static void drop(napi_env env, struct object *o)
{
	while (o->initials) {
		struct initial *next = o->initials->next;

		napi_delete_reference(env, o->initials->buffer);
		free(o->initials);
		o->initials = next;
	}
	if (o->bpf) {
		bpf_object__close(o->bpf);
		fd_closed();
	}
	o->bpf = NULL;
	for (size_t i = 0; o->program_logs && i < o->program_count; i++)
		free(o->program_logs[i]);
	free(o->program_logs);
	o->program_logs = NULL;
	free(o->log);
	o->log = NULL;
}

static void object_finalize(napi_env env, void *data, void *hint)
{
	(void)hint;
	drop(env, data);
	free(data);
}

struct object *arg_object(struct args *a)
{
	struct object *o = arg_external(a, 0, "object", &object_tag);

	if (o && !o->bpf) {
		arg_wrong(a, "object", "open");
		return NULL;
	}
	return o;
}

struct bpf_map *arg_map(struct args *a, struct object *o)
{
	char name[128];
	struct bpf_map *map;

	arg_text(a, 1, "map", name, sizeof(name));
	if (a->failed)
		return NULL;
	map = bpf_object__find_map_by_name(o->bpf, name);
	if (!map) {
		a->failed = true;
		throw_errno(a->env, ENOENT, "bpf_object__find_map_by_name", "map %s of object %s",
			    name, bpf_object__name(o->bpf));
	}
	return map;
}

struct bpf_program *arg_program(struct args *a, struct object *o)
{
	char name[128];
	struct bpf_program *prog;

	arg_text(a, 1, "program", name, sizeof(name));
	if (a->failed)
		return NULL;
	prog = bpf_object__find_program_by_name(o->bpf, name);
	if (!prog) {
		a->failed = true;
		throw_errno(a->env, ENOENT, "bpf_object__find_program_by_name",
			    "program %s of object %s", name, bpf_object__name(o->bpf));
	}
	return prog;
}

/* Without the object's name, which libbpf puts before those of global data. */
const char *map_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	const char *dot = bpf_map__is_internal(map) ? strchr(name, '.') : NULL;

	return dot ? dot : name;
}

napi_value fail_map(napi_env env, struct bpf_map *map, int err, const char *call)
{
	return throw_errno(env, err, call, "%s for map %s", call, map_name(map));
}

/* openObject(path): handle */
static napi_value object_open(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	struct warnings w = {};
	char path[PATH_MAX];
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	arg_text(&a, 0, "path", path, sizeof(path));
	if (a.failed)
		return NULL;
	o = calloc(1, sizeof(*o));
	if (o)
		o->log = malloc(LOG_SIZE);
	if (!o || !o->log) {
		free(o);
		return throw_errno(env, ENOMEM, "malloc", "open object %s", path);
	}
	o->log[0] = '\0';
	opts.kernel_log_buf = o->log;
	opts.kernel_log_size = LOG_SIZE;
	object_listen(&w);
	o->bpf = bpf_object__open_file(path, &opts);
	err = errno;
	object_listen(NULL);
	if (!o->bpf) {
		drop(env, o);
		free(o);
		return throw_errno(env, err, "bpf_object__open_file", "open object %s\n%s", path,
				   w.text);
	}
	napi_value handle = to_external(env, o, object_finalize, &object_tag);
	if (!handle)
		object_finalize(env, o, NULL);
	return handle;
}

/* closeObject(object): its descriptors are closed; what is pinned or attached stays */
static napi_value object_close(napi_env env, napi_callback_info info)
{
	struct object *o;
	struct args a;

	args_read(&a, env, info);
	o = arg_external(&a, 0, "object", &object_tag);
	if (o)
		drop(env, o);
	return NULL;
}

/* objectMaps(object): { name, type, keySize, valueSize, maxEntries, flags, isInternal }[] */
static napi_value object_maps(napi_env env, napi_callback_info info)
{
	napi_value list, row;
	struct bpf_map *map;
	struct object *o;
	uint32_t n = 0;
	struct args a;

	args_read(&a, env, info);
	o = arg_object(&a);
	if (!o || napi_create_array(env, &list) != napi_ok)
		return NULL;
	bpf_object__for_each_map(map, o->bpf) {
		napi_create_object(env, &row);
		put(env, row, "name", to_text(env, map_name(map)));
		put(env, row, "type", to_u32(env, bpf_map__type(map)));
		put(env, row, "keySize", to_u32(env, bpf_map__key_size(map)));
		put(env, row, "valueSize", to_u32(env, bpf_map__value_size(map)));
		put(env, row, "maxEntries", to_u32(env, bpf_map__max_entries(map)));
		put(env, row, "flags", to_u32(env, bpf_map__map_flags(map)));
		put(env, row, "isInternal", to_bool(env, bpf_map__is_internal(map)));
		napi_set_element(env, list, n++, row);
	}
	return list;
}

/* objectPrograms(object): { name, section, type, expectedAttachType, isAutoload, instructions }[] */
static napi_value object_programs(napi_env env, napi_callback_info info)
{
	struct bpf_program *prog;
	napi_value list, row;
	struct object *o;
	uint32_t n = 0;
	struct args a;

	args_read(&a, env, info);
	o = arg_object(&a);
	if (!o || napi_create_array(env, &list) != napi_ok)
		return NULL;
	bpf_object__for_each_program(prog, o->bpf) {
		napi_create_object(env, &row);
		put(env, row, "name", to_text(env, bpf_program__name(prog)));
		put(env, row, "section", to_text(env, bpf_program__section_name(prog)));
		put(env, row, "type", to_u32(env, bpf_program__type(prog)));
		put(env, row, "expectedAttachType",
		    to_u32(env, bpf_program__expected_attach_type(prog)));
		put(env, row, "isAutoload", to_bool(env, bpf_program__autoload(prog)));
		put(env, row, "instructions", to_i64(env, (int64_t)bpf_program__insn_cnt(prog)));
		napi_set_element(env, list, n++, row);
	}
	return list;
}

/* objectVariables(object): { section, name, offset, size }[] of global data, from the object's BTF */
static napi_value object_variables(napi_env env, napi_callback_info info)
{
	napi_value list, row;
	struct object *o;
	uint32_t n = 0;
	struct args a;

	args_read(&a, env, info);
	o = arg_object(&a);
	if (!o || napi_create_array(env, &list) != napi_ok)
		return NULL;
	const struct btf *btf = bpf_object__btf(o->bpf);
	for (uint32_t id = 1; btf && id < btf__type_cnt(btf); id++) {
		const struct btf_type *section = btf__type_by_id(btf, id);

		if (!btf_is_datasec(section))
			continue;
		const struct btf_var_secinfo *var = btf_var_secinfos(section);
		for (int i = 0; i < btf_vlen(section); i++, var++) {
			const struct btf_type *type = btf__type_by_id(btf, var->type);

			napi_create_object(env, &row);
			put(env, row, "section",
			    to_text(env, btf__name_by_offset(btf, section->name_off)));
			put(env, row, "name",
			    to_text(env, btf__name_by_offset(btf, type->name_off)));
			put(env, row, "offset", to_u32(env, var->offset));
			put(env, row, "size", to_u32(env, var->size));
			napi_set_element(env, list, n++, row);
		}
	}
	return list;
}

const struct function object_functions[] = {
	{ "openObject", object_open },           { "closeObject", object_close },
	{ "objectMaps", object_maps },           { "objectPrograms", object_programs },
	{ "objectVariables", object_variables }, {},
};
