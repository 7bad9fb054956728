/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the parser reads a frame before there is an skb: only its linear part. */
#ifndef MERLON_FRAME_XDP_H
#define MERLON_FRAME_XDP_H

#include "packet.h"

typedef struct xdp_md frame_t;

#define FRAME_LINEAR_MAX 511 /* headers end before; keeps the verifier's bounds small */

static __always_inline int frame_load(frame_t *ctx, __u32 offset, void *to, __u32 size)
{
	void *at = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if (offset > FRAME_LINEAR_MAX)
		return -1;
	at += offset;
	if (at + size > end)
		return -1;
	__builtin_memcpy(to, at, size);
	return 0;
}

/* Bytes that can be read directly. The pointers must not be spilled as the 32 bits the context shows. */
static __always_inline __u32 frame_linear(frame_t *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	barrier_var(data);
	barrier_var(end);
	return end - data;
}

static __always_inline __u32 frame_length(frame_t *ctx)
{
	if (cfg_xdp_buff_len)
		return bpf_xdp_get_buff_len(ctx);
	return frame_linear(ctx);
}

static __always_inline bool frame_is_gso(__unused frame_t *ctx)
{
	return false;
}

static __always_inline __be16 frame_tag(__unused frame_t *ctx, __unused __u16 *id)
{
	return 0;
}

#endif
