/* SPDX-License-Identifier: Apache-2.0 */
/* An open BPF object, shared by the files that adjust and load it. */
#ifndef MERLON_OBJECT_H
#define MERLON_OBJECT_H

#include <bpf/libbpf.h>

#include "native.h"

/* As large as any kernel lets it be: older ones fail the load with ENOSPC where the log does not fit. Only
 * pages that a log really fills are ever touched. */
#define LOG_SIZE (UINT32_MAX >> 8)
#define WARNINGS_SIZE 1024

/* Initial contents of a global-data map, as an ArrayBuffer that is copied in at load. */
struct initial {
	struct initial *next;
	struct bpf_map *map;
	napi_ref buffer;
};

struct object {
	struct bpf_object *bpf; /* NULL once closed */
	char *log;
	char **program_logs;
	size_t program_count;
	struct initial *initials;
};

/* What libbpf warns of while one call runs. */
struct warnings {
	size_t length;
	char text[WARNINGS_SIZE];
};

/* Collects this thread's warnings until called with NULL. */
void object_listen(struct warnings *w);

/* The object of the first argument; the map or program of it that the second names. */
struct object *arg_object(struct args *a);
struct bpf_map *arg_map(struct args *a, struct object *o);
struct bpf_program *arg_program(struct args *a, struct object *o);

const char *map_name(const struct bpf_map *map);
napi_value fail_map(napi_env env, struct bpf_map *map, int err, const char *call);
int copy_initials(napi_env env, struct object *o);

#endif
