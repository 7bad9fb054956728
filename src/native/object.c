// SPDX-License-Identifier: Apache-2.0
/*
 * BPF objects: open (reads the file, touches nothing), adjust, load (all or nothing), close. Descriptors of
 * a loaded object belong to it and close with it.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "native.h"

/* As large as any kernel lets it be: older ones fail the load with ENOSPC where the log does not fit. Only
 * pages that a log really fills are ever touched. */
#define LOG_SIZE (UINT32_MAX >> 8)
#define STATS_LOG_SIZE (64 * 1024)
#define WARNINGS_SIZE 1024
#define LOG_TAIL 1500

static const napi_type_tag object_tag = { 0x6d65726c6f6e6f62, 0x6a65637400000001 };

/* Initial contents of a global-data map, as an ArrayBuffer that is copied in at load. */
struct initial {
	struct initial *next;
	struct bpf_map *map;
	napi_ref buffer;
};

struct object {
	struct bpf_object *bpf;
	char *log;
	char **program_logs;
	size_t program_count;
	struct initial *initials;
};

/* What libbpf warns of while one call runs. Its callback has no argument, hence one per thread. */
struct warnings {
	size_t length;
	char text[WARNINGS_SIZE];
};

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

static struct object *arg_object(struct args *a)
{
	struct object *o = arg_external(a, 0, "object", &object_tag);

	if (o && !o->bpf) {
		arg_wrong(a, "object", "open");
		return NULL;
	}
	return o;
}

static struct bpf_map *arg_map(struct args *a, struct object *o)
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

static struct bpf_program *arg_program(struct args *a, struct object *o)
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
static const char *map_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	const char *dot = bpf_map__is_internal(map) ? strchr(name, '.') : NULL;

	return dot ? dot : name;
}

static napi_value fail_map(napi_env env, struct bpf_map *map, int err, const char *call)
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
	listening = &w;
	o->bpf = bpf_object__open_file(path, &opts);
	err = errno;
	listening = NULL;
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

/* setMapMaxEntries(object, map, count) */
static napi_value set_max_entries(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	uint32_t count = arg_u32(&a, 2, "count");
	if (a.failed)
		return NULL;
	err = bpf_map__set_max_entries(map, count);
	return err ? fail_map(env, map, err, "bpf_map__set_max_entries") : NULL;
}

/* setMapValueSize(object, map, size) */
static napi_value set_value_size(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	uint32_t size = arg_u32(&a, 2, "size");
	if (a.failed)
		return NULL;
	err = bpf_map__set_value_size(map, size);
	return err ? fail_map(env, map, err, "bpf_map__set_value_size") : NULL;
}

/* setMapFlags(object, map, flags) */
static napi_value set_map_flags(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	uint32_t flags = arg_u32(&a, 2, "flags");
	if (a.failed)
		return NULL;
	err = bpf_map__set_map_flags(map, flags);
	return err ? fail_map(env, map, err, "bpf_map__set_map_flags") : NULL;
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

static int copy_initials(napi_env env, struct object *o)
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

/* A log of its own for each program, so that one load tells of all. */
static int keep_logs(struct object *o, uint32_t level)
{
	struct bpf_program *prog;
	size_t size = level & 3 ? LOG_SIZE : STATS_LOG_SIZE;
	size_t count = 0;
	int err;

	if (o->program_logs)
		return 0;
	bpf_object__for_each_program(prog, o->bpf)
		count++;
	o->program_logs = calloc(count ? count : 1, sizeof(*o->program_logs));
	if (!o->program_logs)
		return -ENOMEM;
	o->program_count = count;
	count = 0;
	bpf_object__for_each_program(prog, o->bpf) {
		char *log = malloc(size);

		if (!log)
			return -ENOMEM;
		log[0] = '\0';
		o->program_logs[count++] = log;
		err = bpf_program__set_log_buf(prog, log, size);
		if (!err)
			err = bpf_program__set_log_level(prog, level);
		if (err)
			return err;
	}
	return 0;
}

/* The log of the program that failed: the only one, or the last that says anything. */
static const char *failed_log(struct object *o)
{
	const char *log = o->log;

	for (size_t i = 0; o->program_logs && i < o->program_count; i++)
		if (o->program_logs[i] && o->program_logs[i][0])
			log = o->program_logs[i];
	return log;
}

static const char *tail(const char *text, size_t most)
{
	size_t length = strlen(text);
	const char *from = text + (length > most ? length - most : 0);
	const char *line = from == text ? NULL : strchr(from, '\n');

	return line ? line + 1 : from;
}

static napi_value fail_load(napi_env env, struct object *o, int err, struct warnings *w)
{
	const char *log = failed_log(o);
	napi_value error = NULL;

	throw_errno(env, err, "bpf_object__load", "load object %s\n%s%s", bpf_object__name(o->bpf),
		    w->text, tail(log, LOG_TAIL));
	if (napi_get_and_clear_last_exception(env, &error) != napi_ok)
		return NULL;
	put(env, error, "log", to_text(env, log));
	napi_throw(env, error);
	return NULL;
}

/* loadObject(object, logLevel): nanoseconds it took */
static napi_value object_load(napi_env env, napi_callback_info info)
{
	struct warnings w = {};
	struct timespec t0, t1;
	struct object *o;
	struct args a;
	int err;

	args_read(&a, env, info);
	o = arg_object(&a);
	uint32_t level = arg_u32(&a, 1, "logLevel");
	if (a.failed)
		return NULL;
	err = copy_initials(env, o);
	if (!err && level)
		err = keep_logs(o, level);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	listening = &w;
	if (!err)
		err = bpf_object__load(o->bpf);
	listening = NULL;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (err)
		return fail_load(env, o, err, &w);
	return to_i64(env, (t1.tv_sec - t0.tv_sec) * INT64_C(1000000000) + t1.tv_nsec - t0.tv_nsec);
}

/* programLog(object, program): what the verifier said, at the log level of the load */
static napi_value program_log(napi_env env, napi_callback_info info)
{
	struct bpf_program *prog;
	struct object *o;
	struct args a;
	size_t size;

	args_read(&a, env, info);
	o = arg_object(&a);
	prog = arg_program(&a, o);
	if (a.failed)
		return NULL;
	return to_text(env, o->program_logs ? bpf_program__log_buf(prog, &size) : "");
}

/* programFd(object, program): descriptor, the object's own */
static napi_value program_fd(napi_env env, napi_callback_info info)
{
	struct bpf_program *prog;
	struct object *o;
	struct args a;
	int fd;

	args_read(&a, env, info);
	o = arg_object(&a);
	prog = arg_program(&a, o);
	if (a.failed)
		return NULL;
	fd = bpf_program__fd(prog);
	if (fd < 0)
		return throw_errno(env, fd, "bpf_program__fd", "program %s is not loaded",
				   bpf_program__name(prog));
	return to_i64(env, fd);
}

/* mapFd(object, map): descriptor, the object's own */
static napi_value map_fd(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct object *o;
	struct args a;
	int fd;

	args_read(&a, env, info);
	o = arg_object(&a);
	map = arg_map(&a, o);
	if (a.failed)
		return NULL;
	fd = bpf_map__fd(map);
	if (fd < 0)
		return throw_errno(env, EBADF, "bpf_map__fd", "map %s is not created",
				   bpf_map__name(map));
	return to_i64(env, fd);
}

const struct function object_functions[] = {
	{ "openObject", object_open },
	{ "closeObject", object_close },
	{ "objectMaps", object_maps },
	{ "objectPrograms", object_programs },
	{ "objectVariables", object_variables },
	{ "setMapMaxEntries", set_max_entries },
	{ "setMapValueSize", set_value_size },
	{ "setMapFlags", set_map_flags },
	{ "setMapAutocreate", set_autocreate },
	{ "reuseMap", reuse_map },
	{ "setInnerMap", set_inner_map },
	{ "mapInitialValue", map_initial_value },
	{ "setAutoload", set_autoload },
	{ "setProgramType", set_program_type },
	{ "loadObject", object_load },
	{ "programLog", program_log },
	{ "programFd", program_fd },
	{ "mapFd", map_fd },
	{},
};
