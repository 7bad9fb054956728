// SPDX-License-Identifier: Apache-2.0
/* Loading an object, all or nothing, and what the verifier says of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "object.h"

#define STATS_LOG_SIZE (64 * 1024)
#define LOG_TAIL 1500

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
	object_listen(&w);
	if (!err)
		err = bpf_object__load(o->bpf);
	object_listen(NULL);
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

const struct function load_functions[] = {
	{ "loadObject", object_load },
	{ "programLog", program_log },
	{ "programFd", program_fd },
	{ "mapFd", map_fd },
	{},
};
