/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the addon's C files share: one instance per environment (main thread or worker), arguments, results
 * and errors. The addon holds no policy: integers and buffers in, integers and buffers out.
 */
#ifndef MERLON_NATIVE_H
#define MERLON_NATIVE_H

#define NAPI_VERSION 9
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ARGS 12
#define MAP_CACHE 64
#define NAME_MAX_BPF 16

/* What the kernel reads and writes per element of a map; valid while no descriptor has been closed since. */
struct map_shape {
	int fd;
	uint32_t closes;
	uint32_t type;
	uint32_t key;
	uint32_t value; /* as the system calls move it: of per-CPU maps, all possible CPUs */
	uint32_t max_entries;
};

struct watch;

/* One per environment; what dies with it. */
struct instance {
	napi_env env;
	struct map_shape shapes[MAP_CACHE];
	struct watch *watches;
};

struct bytes {
	void *data;
	size_t length;
};

/* The arguments of one call. After the first that does not fit, an exception waits and `failed` is set. */
struct args {
	napi_env env;
	size_t count;
	bool failed;
	napi_value v[MAX_ARGS];
};

struct function {
	const char *name;
	napi_callback call;
};

/* value.c */
void args_read(struct args *a, napi_env env, napi_callback_info info);
bool arg_absent(struct args *a, size_t i);
int64_t arg_range(struct args *a, size_t i, const char *name, int64_t min, int64_t max);
int arg_fd(struct args *a, size_t i, const char *name);
int arg_i32(struct args *a, size_t i, const char *name);
uint32_t arg_u32(struct args *a, size_t i, const char *name);
uint64_t arg_u64(struct args *a, size_t i, const char *name);
bool arg_bool(struct args *a, size_t i, const char *name);
struct bytes arg_bytes(struct args *a, size_t i, const char *name);
struct bytes arg_bytes_optional(struct args *a, size_t i, const char *name);
char *arg_text(struct args *a, size_t i, const char *name, char *out, size_t size);
void *arg_external(struct args *a, size_t i, const char *name, const napi_type_tag *tag);
void arg_wrong(struct args *a, const char *name, const char *want);

napi_value to_i64(napi_env env, int64_t value);
napi_value to_u32(napi_env env, uint32_t value);
napi_value to_u64(napi_env env, uint64_t value);
napi_value to_bool(napi_env env, bool value);
napi_value to_text(napi_env env, const char *text);
napi_value to_external(napi_env env, void *data, napi_finalize finalize, const napi_type_tag *tag);
void put(napi_env env, napi_value object, const char *name, napi_value value);

/* Throws an Error with code, errno and syscall; NULL, so that callers can return it. `err` may be negative. */
napi_value throw_errno(napi_env env, int err, const char *syscall, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
napi_value make_error(napi_env env, int err, const char *syscall, const char *message);

/* fd.c */
struct instance *instance_of(napi_env env);
int fd_close(int fd);
void fd_closed(void);
uint32_t fd_closes(void);
const struct map_shape *map_shape(napi_env env, int fd, const char *syscall);
int sys_bpf(int cmd, void *attr, size_t size);

/* watch.c */
bool fd_watched(struct instance *instance, int fd);

/* Each concern's functions, ended by a NULL name. */
extern const struct function object_functions[];
extern const struct function adjust_functions[];
extern const struct function load_functions[];
extern const struct function map_functions[];
extern const struct function view_functions[];
extern const struct function info_functions[];
extern const struct function link_functions[];
extern const struct function run_functions[];
extern const struct function watch_functions[];
extern const struct function socket_functions[];
extern const struct function system_functions[];

void object_setup(void);

#endif
