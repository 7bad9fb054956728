/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The clock of records and limits: jiffies, since reading them costs nothing. They begin 300 s before they
 * wrap 32 bits, and stand still while the machine sleeps; this is the one place that converts them.
 */
#ifndef MERLON_TIME_H
#define MERLON_TIME_H

#include "packet.h"

#define JIFFIES_HEADSTART_SECONDS 300

static __always_inline __u64 now_jiffies(void)
{
	return bpf_jiffies64() - ((1ULL << 32) - JIFFIES_HEADSTART_SECONDS * (__u64)cfg_hz);
}

/* Seconds the machine has run. */
static __always_inline __u32 now_seconds(void)
{
	return (now_jiffies() * cfg_hz_reciprocal) >> 32;
}

/*
 * A token bucket of `rate` tokens a second as one number: the time at which it would be full, counted in
 * jiffies × rate. Plain stores: CPUs that share a bucket may overrun it by a token each.
 */
static __always_inline bool bucket_take(__u64 *full_at, __u32 rate, __u32 burst)
{
	__u64 now = now_jiffies() * rate;
	__u64 depth = (__u64)burst * cfg_hz;
	__u64 level = *full_at;

	if (level + depth < now)
		level = now - depth; /* long idle: the bucket is full, no more */
	if (level + cfg_hz > now)
		return false;
	*full_at = level + cfg_hz;
	return true;
}

#endif
