// SPDX-License-Identifier: Apache-2.0
/* Running programs: test runs, iterators, run-time statistics. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>

#include "native.h"

static void *room(napi_env env, size_t size, napi_value *buffer)
{
	void *data = NULL;

	if (napi_create_arraybuffer(env, size, &data, buffer) != napi_ok)
		return NULL;
	return data;
}

/* The first `length` bytes of the buffer. */
static napi_value view_of(napi_env env, napi_value buffer, size_t length)
{
	napi_value out = NULL;

	napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &out);
	return out;
}

/*
 * testRun(progFd, dataIn or null, dataOutSize, ctxIn or null, ctxOutSize, repeat, flags, cpu, batch):
 * { retval, durationNs, dataOut, ctxOut }. A syscall program writes its context back into ctxIn.
 */
static napi_value test_run(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	napi_value out, data_out = NULL, ctx_out = NULL;
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "progFd");
	struct bytes data = arg_bytes_optional(&a, 1, "dataIn");
	opts.data_size_out = arg_u32(&a, 2, "dataOutSize");
	struct bytes ctx = arg_bytes_optional(&a, 3, "ctxIn");
	opts.ctx_size_out = arg_u32(&a, 4, "ctxOutSize");
	opts.repeat = arg_i32(&a, 5, "repeat");
	opts.flags = arg_u32(&a, 6, "flags");
	opts.cpu = arg_u32(&a, 7, "cpu");
	opts.batch_size = arg_u32(&a, 8, "batch");
	if (a.failed)
		return NULL;
	opts.data_in = data.length ? data.data : NULL;
	opts.data_size_in = (uint32_t)data.length;
	opts.ctx_in = ctx.length ? ctx.data : NULL;
	opts.ctx_size_in = (uint32_t)ctx.length;
	if (opts.data_size_out)
		opts.data_out = room(env, opts.data_size_out, &data_out);
	if (opts.ctx_size_out)
		opts.ctx_out = room(env, opts.ctx_size_out, &ctx_out);
	if ((opts.data_size_out && !opts.data_out) || (opts.ctx_size_out && !opts.ctx_out))
		return throw_errno(env, ENOMEM, "BPF_PROG_TEST_RUN", "room for the output");
	if (bpf_prog_test_run_opts(fd, &opts))
		return throw_errno(env, errno, "BPF_PROG_TEST_RUN",
				   "run program descriptor %d on %zu bytes (context %zu)", fd,
				   data.length, ctx.length);
	napi_create_object(env, &out);
	put(env, out, "retval", to_u32(env, opts.retval));
	put(env, out, "durationNs", to_u32(env, opts.duration));
	if (data_out)
		put(env, out, "dataOut", view_of(env, data_out, opts.data_size_out));
	if (ctx_out)
		put(env, out, "ctxOut", view_of(env, ctx_out, opts.ctx_size_out));
	return out;
}

/* iterCreate(linkFd): descriptor; each walk needs a new one */
static napi_value iter_create(napi_env env, napi_callback_info info)
{
	struct args a;
	int fd;

	args_read(&a, env, info);
	int link = arg_fd(&a, 0, "linkFd");
	if (a.failed)
		return NULL;
	fd = bpf_iter_create(link);
	if (fd < 0)
		return throw_errno(env, errno, "BPF_ITER_CREATE", "iterate link descriptor %d",
				   link);
	return to_i64(env, fd);
}

/* bpfStatsEnable(): descriptor; run counts and times are kept until it is closed */
static napi_value stats_enable(napi_env env, napi_callback_info info)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	(void)info;
	if (fd < 0)
		return throw_errno(env, errno, "BPF_ENABLE_STATS", "enable run-time statistics");
	return to_i64(env, fd);
}

const struct function run_functions[] = {
	{ "testRun", test_run },
	{ "iterCreate", iter_create },
	{ "bpfStatsEnable", stats_enable },
	{},
};
