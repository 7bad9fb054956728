// SPDX-License-Identifier: Apache-2.0
/* Arguments from JavaScript, results to it, and errors with code, errno and syscall. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

void args_read(struct args *a, napi_env env, napi_callback_info info)
{
	a->env = env;
	a->count = MAX_ARGS;
	a->failed = napi_get_cb_info(env, info, &a->count, a->v, NULL, NULL) != napi_ok;
}

void arg_wrong(struct args *a, const char *name, const char *want)
{
	char text[160];

	if (a->failed)
		return;
	a->failed = true;
	snprintf(text, sizeof(text), "%s must be %s", name, want);
	napi_throw_type_error(a->env, "ERR_INVALID_ARG_TYPE", text);
}

bool arg_absent(struct args *a, size_t i)
{
	napi_valuetype type;

	if (a->failed || i >= a->count || napi_typeof(a->env, a->v[i], &type) != napi_ok)
		return true;
	return type == napi_undefined || type == napi_null;
}

int64_t arg_range(struct args *a, size_t i, const char *name, int64_t min, int64_t max)
{
	double value;

	if (a->failed)
		return 0;
	/* Bounds first: what lies beyond them may not fit an integer at all. NaN is in no bounds. */
	if (i < a->count && napi_get_value_double(a->env, a->v[i], &value) == napi_ok &&
	    value >= (double)min && value <= (double)max && value < 0x1p63 &&
	    (double)(int64_t)value == value)
		return (int64_t)value;
	arg_wrong(a, name, "an integer in range");
	return 0;
}

int arg_fd(struct args *a, size_t i, const char *name)
{
	return (int)arg_range(a, i, name, 0, INT_MAX);
}

int arg_i32(struct args *a, size_t i, const char *name)
{
	return (int)arg_range(a, i, name, INT_MIN, INT_MAX);
}

uint32_t arg_u32(struct args *a, size_t i, const char *name)
{
	return (uint32_t)arg_range(a, i, name, 0, UINT32_MAX);
}

uint64_t arg_u64(struct args *a, size_t i, const char *name)
{
	bool lossless = false;
	double number;
	uint64_t value;

	if (a->failed)
		return 0;
	/* Numbers first, because they are what is passed where it has to be fast. */
	if (i >= a->count || napi_get_value_double(a->env, a->v[i], &number) == napi_ok)
		return (uint64_t)arg_range(a, i, name, 0, INT64_MAX);
	if (napi_get_value_bigint_uint64(a->env, a->v[i], &value, &lossless) == napi_ok && lossless)
		return value;
	arg_wrong(a, name, "a number or bigint from 0 to 2^64 - 1");
	return 0;
}

bool arg_bool(struct args *a, size_t i, const char *name)
{
	bool value = false;

	if (a->failed)
		return false;
	if (i >= a->count || napi_get_value_bool(a->env, a->v[i], &value) != napi_ok)
		arg_wrong(a, name, "a boolean");
	return value;
}

struct bytes arg_bytes(struct args *a, size_t i, const char *name)
{
	struct bytes out = {};
	bool is = false;

	if (a->failed)
		return out;
	/* napi_is_buffer is true of every view: typed arrays, DataView and Buffer. */
	if (i < a->count && napi_is_buffer(a->env, a->v[i], &is) == napi_ok && is) {
		if (napi_get_buffer_info(a->env, a->v[i], &out.data, &out.length) == napi_ok)
			return out;
	} else if (i < a->count && napi_is_arraybuffer(a->env, a->v[i], &is) == napi_ok && is) {
		if (napi_get_arraybuffer_info(a->env, a->v[i], &out.data, &out.length) == napi_ok)
			return out;
	}
	arg_wrong(a, name, "an ArrayBuffer or a view of one");
	return (struct bytes){};
}

struct bytes arg_bytes_optional(struct args *a, size_t i, const char *name)
{
	if (arg_absent(a, i))
		return (struct bytes){};
	return arg_bytes(a, i, name);
}

char *arg_text(struct args *a, size_t i, const char *name, char *out, size_t size)
{
	size_t length = 0;

	out[0] = '\0';
	if (a->failed)
		return out;
	/* One byte more is asked for, so that a text which does not fit is told from one that just does. */
	if (i >= a->count ||
	    napi_get_value_string_utf8(a->env, a->v[i], NULL, 0, &length) != napi_ok) {
		arg_wrong(a, name, "a string");
	} else if (length >= size) {
		arg_wrong(a, name, "a shorter string");
	} else {
		napi_get_value_string_utf8(a->env, a->v[i], out, size, &length);
		if (strlen(out) != length)
			arg_wrong(a, name, "a string without NUL");
	}
	return out;
}

void *arg_external(struct args *a, size_t i, const char *name, const napi_type_tag *tag)
{
	napi_valuetype type;
	void *data = NULL;
	bool ours = false;

	if (a->failed)
		return NULL;
	if (i < a->count && napi_typeof(a->env, a->v[i], &type) == napi_ok &&
	    type == napi_external &&
	    napi_check_object_type_tag(a->env, a->v[i], tag, &ours) == napi_ok && ours &&
	    napi_get_value_external(a->env, a->v[i], &data) == napi_ok)
		return data;
	arg_wrong(a, name, "a handle of this addon");
	return NULL;
}

napi_value to_i64(napi_env env, int64_t value)
{
	napi_value out = NULL;

	napi_create_int64(env, value, &out);
	return out;
}

napi_value to_u32(napi_env env, uint32_t value)
{
	napi_value out = NULL;

	napi_create_uint32(env, value, &out);
	return out;
}

napi_value to_u64(napi_env env, uint64_t value)
{
	napi_value out = NULL;

	napi_create_bigint_uint64(env, value, &out);
	return out;
}

napi_value to_bool(napi_env env, bool value)
{
	napi_value out = NULL;

	napi_get_boolean(env, value, &out);
	return out;
}

napi_value to_text(napi_env env, const char *text)
{
	napi_value out = NULL;

	napi_create_string_utf8(env, text ? text : "", NAPI_AUTO_LENGTH, &out);
	return out;
}

napi_value to_external(napi_env env, void *data, napi_finalize finalize, const napi_type_tag *tag)
{
	napi_value out = NULL;

	if (napi_create_external(env, data, finalize, NULL, &out) != napi_ok)
		return NULL;
	napi_type_tag_object(env, out, tag);
	return out;
}

void put(napi_env env, napi_value object, const char *name, napi_value value)
{
	if (value)
		napi_set_named_property(env, object, name, value);
}

/* ENOTSUPP is the kernel's own and leaks from bpf(2); libc has no name for it. */
#define ENOTSUPP 524

static const char *errno_name(int err)
{
	const char *name = err == ENOTSUPP ? "ENOTSUPP" : strerrorname_np(err);

	return name ? name : "EUNKNOWN";
}

napi_value make_error(napi_env env, int err, const char *syscall, const char *message)
{
	napi_value error = NULL;

	napi_create_error(env, to_text(env, errno_name(err)), to_text(env, message), &error);
	if (!error)
		return NULL;
	put(env, error, "errno", to_i64(env, err));
	put(env, error, "syscall", to_text(env, syscall));
	return error;
}

napi_value throw_errno(napi_env env, int err, const char *syscall, const char *fmt, ...)
{
	char what[4352], message[4608];
	napi_value error;
	va_list args;

	if (err < 0)
		err = -err;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	snprintf(message, sizeof(message), "%s: %s (%s)", what,
		 err == ENOTSUPP ? "Not supported by this kernel" : strerror(err), errno_name(err));
	error = make_error(env, err, syscall, message);
	if (error)
		napi_throw(env, error);
	return NULL;
}
