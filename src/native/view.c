// SPDX-License-Identifier: Apache-2.0
/* Maps and rings as ArrayBuffers over mmap(2). A view outlives its descriptor; collecting it unmaps. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "native.h"

static void unmap(napi_env env, void *data, void *hint)
{
	(void)env;
	munmap(data, (size_t)(uintptr_t)hint);
}

static napi_value view(napi_env env, int fd, size_t length, int prot, off_t offset)
{
	napi_value out = NULL;
	void *data = mmap(NULL, length, prot, MAP_SHARED, fd, offset);

	if (data == MAP_FAILED)
		return throw_errno(env, errno, "mmap", "map %zu bytes at %lld of descriptor %d",
				   length, (long long)offset, fd);
	if (napi_create_external_arraybuffer(env, data, length, unmap, (void *)(uintptr_t)length,
					     &out) != napi_ok) {
		munmap(data, length);
		return throw_errno(env, ENOMEM, "mmap", "view of descriptor %d", fd);
	}
	return out;
}

/* mapView(fd, length, isWritable, offset): ArrayBuffer */
static napi_value map_view(napi_env env, napi_callback_info info)
{
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	int64_t length = arg_range(&a, 1, "length", 1, INT64_MAX >> 1);
	bool is_writable = arg_bool(&a, 2, "isWritable");
	int64_t offset = arg_range(&a, 3, "offset", 0, INT64_MAX >> 1);
	if (a.failed)
		return NULL;
	return view(env, fd, (size_t)length, PROT_READ | (is_writable ? PROT_WRITE : 0), offset);
}

/* ringView(fd, size): { consumer, producer, data }; data is mapped twice in a row, so records never wrap */
static napi_value ring_view(napi_env env, napi_callback_info info)
{
	long page = sysconf(_SC_PAGESIZE);
	napi_value out, consumer, producer, data;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	int64_t size = arg_range(&a, 1, "size", page, INT64_C(1) << 32);
	if (a.failed || napi_create_object(env, &out) != napi_ok)
		return NULL;
	consumer = view(env, fd, (size_t)page, PROT_READ | PROT_WRITE, 0);
	producer = consumer ? view(env, fd, (size_t)page, PROT_READ, page) : NULL;
	data = producer ? view(env, fd, (size_t)size * 2, PROT_READ, 2 * page) : NULL;
	if (!data)
		return NULL;
	put(env, out, "consumer", consumer);
	put(env, out, "producer", producer);
	put(env, out, "data", data);
	return out;
}

/* viewRelease(view): unmaps now; the ArrayBuffer and all views of it have length 0 from here on */
static napi_value view_release(napi_env env, napi_callback_info info)
{
	bool is = false;
	struct args a;

	args_read(&a, env, info);
	if (a.failed || napi_is_arraybuffer(env, a.v[0], &is) != napi_ok)
		return NULL;
	if (!is)
		arg_wrong(&a, "view", "an ArrayBuffer");
	else if (napi_detach_arraybuffer(env, a.v[0]) != napi_ok)
		arg_wrong(&a, "view", "a detachable ArrayBuffer");
	return NULL;
}

const struct function view_functions[] = {
	{ "mapView", map_view },
	{ "ringView", ring_view },
	{ "viewRelease", view_release },
	{},
};
