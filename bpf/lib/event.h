/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What people get to know: one ring record a packet and direction at most (HF-5.5), behind a token bucket
 * a ring. Sent, suppressed and lost are counted, so that they add up to what happened. Also the only way
 * to refuse a packet: drop().
 */
#ifndef MERLON_EVENT_H
#define MERLON_EVENT_H

#include "control.h"
#include "packet.h"
#include "time.h"

#define EVENTS_A_WAKEUP 1024

/* BTF keeps only types that something names. */
struct event *event_type_anchor __hidden;
enum event_type event_kind_anchor __hidden;
enum drop_reason drop_reason_anchor __hidden;
enum verdict verdict_anchor __hidden;

static __always_inline void event_fill(struct event *event, const struct packet *pkt,
				       const struct judgement *judged)
{
	event->origin = judged->origin;
	event->verdict = (judged->verdict & 0xf) | (judged->flags & CELL_MATCH_MASK) << 4;
	event->src_identity = pkt->src_identity;
	event->dst_identity = pkt->dst_identity;
	event->flow = pkt->flow;
	event->ifindex = pkt->ifindex;
	event->length = pkt->length > 0xffff ? 0xffff : pkt->length;
	event->proto = pkt->proto;
	event->tcp_flags = pkt->tcp_flags;
	event->sport = pkt->sport;
	event->dport = pkt->dport;
	if (pkt->proto == IPPROTO_ICMP || pkt->proto == PROTO_ICMP6) {
		event->sport = bpf_htons(pkt->icmp_type | pkt->icmp_code << 8);
		event->dport = pkt->sport | pkt->dport;
	}
	event->proxy_port = 0;
	if (pkt->dir == DIR_INGRESS) {
		event->src_endpoint = 0;
		event->dst_endpoint = pkt->endpoint;
	} else {
		event->src_endpoint = pkt->endpoint;
		event->dst_endpoint = 0;
	}
}

/* Room in the ring with the addresses in it: their size is that of the record. */
static __always_inline struct event *event_reserve(void *ring, const struct packet *pkt)
{
	struct event *event;

	if (pkt->family == 6) {
		event = bpf_ringbuf_reserve(ring, EVENT_SIZE6, 0);
		if (!event)
			return NULL;
		__builtin_memcpy(event->saddr6, &pkt->saddr, 16);
		__builtin_memcpy(event->daddr6, &pkt->daddr, 16);
		__builtin_memset(event->pad, 0, sizeof(event->pad));
		return event;
	}
	event = bpf_ringbuf_reserve(ring, EVENT_SIZE4, 0);
	if (!event)
		return NULL;
	event->saddr4 = pkt->saddr.w[3];
	event->daddr4 = pkt->daddr.w[3];
	return event;
}

static __always_inline __u8 event_flags(const struct packet *pkt, __u32 subject, bool is_audited)
{
	__u8 flags = subject_dir(pkt, subject) == DIR_INGRESS ? EVENT_F_INGRESS : 0;

	if (pkt->family == 6)
		flags |= EVENT_F_IPV6;
	if (is_audited)
		flags |= EVENT_F_AUDIT;
	if (pkt->flags & PKT_REPLY)
		flags |= EVENT_F_REPLY;
	if (pkt->flags & PKT_XDP)
		flags |= EVENT_F_XDP;
	return flags;
}

static __always_inline __u32 event_ring(void)
{
	return bpf_get_smp_processor_id() >> cfg_ring_shift;
}

/* Withheld: counted, and told with the next event of its reason. */
static __always_inline void event_withhold(struct event_limit *limit, __u32 reason, __u32 n)
{
	__u32 sum = limit->suppressed[reason & 0xff] + n;

	limit->suppressed[reason & 0xff] = sum > 0xffff ? 0xffff : sum;
}

/* Does user space want it, and is there a token? If not, that is counted. */
static __always_inline bool event_is_due(__u32 type, __u32 reason)
{
	__u32 ring = event_ring();
	struct event_limit *limit = bpf_map_lookup_elem(&event_limits, &ring);
	struct live_state *state = live_get();

	if (!state || !limit)
		return false;
	if (state->interest & 1U << (type & 0xf) &&
	    bucket_take(&limit->full_at, cfg_event_rate, cfg_event_burst))
		return true;
	event_withhold(limit, reason, 1);
	count(STAT_EVENT_SUPPRESSED, 1);
	return false;
}

static __always_inline __u32 drop_report_index(const struct packet *pkt, __u32 ports)
{
	__u32 hash = pkt->saddr.w[3] * EPOCH_MULTIPLIER0 + pkt->daddr.w[3] * EPOCH_MULTIPLIER1;

	if (pkt->family == 6)
		hash += pkt->saddr.w[1] * EPOCH_MULTIPLIER2 + pkt->daddr.w[1];
	return (hash + ports * EPOCH_MULTIPLIER3) >> DROP_REPORTS_SHIFT;
}

/*
 * Was the same refusal told of a moment ago? Then it is counted there. If not, this one takes the place, and
 * the next event of the reason tells how many went untold.
 */
static __always_inline bool drop_is_repeated(const struct packet *pkt, struct event_limit *limit,
					     __u32 subject, __u32 type, __u32 reason)
{
	__u32 ports =
		((__u32)pkt->sport << 16 | pkt->dport) ^ (pkt->icmp_type << 8 | pkt->icmp_code);
	__u32 index = drop_report_index(pkt, ports), now = now_seconds();
	struct drop_report *report = bpf_map_lookup_elem(&drop_reports, &index);
	__u32 what = reason | pkt->proto << 8 | subject << 16 | type << 20 | (__u32)pkt->dir << 24;
	__u32 origin, generation;

	if (!report)
		return false;
	BOUND_TO_BIT(subject); /* spilled, its bound is forgotten */
	origin = pkt->judged[subject].origin;
	generation = pkt->subject[subject].generation;
	if (report->what == what && report->ports == ports && report->addr[1] == pkt->saddr.d[1] &&
	    report->addr[3] == pkt->daddr.d[1] && report->addr[0] == pkt->saddr.d[0] &&
	    report->addr[2] == pkt->daddr.d[0] && report->origin == origin &&
	    report->generation == generation && report->ifindex == pkt->ifindex &&
	    now - report->since < cfg_drop_window) {
		report->count++;
		return true;
	}
	event_withhold(limit, report->what, report->count);
	report->addr[0] = pkt->saddr.d[0];
	report->addr[1] = pkt->saddr.d[1];
	report->addr[2] = pkt->daddr.d[0];
	report->addr[3] = pkt->daddr.d[1];
	report->ports = ports;
	report->what = what;
	report->origin = origin;
	report->generation = generation;
	report->ifindex = pkt->ifindex;
	report->since = now;
	report->count = 0;
	return false;
}

/* Writes the record, unless it would tell of a refusal what the last one told; `what` = event type << 8 | drop reason. */
static __always_inline void event_write(const struct packet *pkt, __u32 subject, __u32 what)
{
	__u32 type = (what >> 8) & 0xf, reason = what & 0xff;
	__u32 ring_index = event_ring(), sent_key = STAT_EVENT_SENT;
	struct event_limit *limit = bpf_map_lookup_elem(&event_limits, &ring_index);
	void *ring = bpf_map_lookup_elem(&events, &ring_index);
	__u64 *sent = bpf_map_lookup_elem(&stat_count, &sent_key);
	const struct judgement *judged;
	struct event *event;
	__u32 generation;
	__u8 flags;

	if (!limit || !sent)
		return;
	if (reason && cfg_drop_window && drop_is_repeated(pkt, limit, subject, type, reason)) {
		limit->full_at -= cfg_hz; /* the token was not needed */
		count(STAT_EVENT_SUPPRESSED, 1);
		return;
	}
	BOUND_TO_BIT(subject);
	/* Read while the bound is fresh: verifiers before 6.3 forget it once the index is spilled. */
	judged = &pkt->judged[subject];
	generation = pkt->subject[subject].generation;
	flags = event_flags(pkt, subject, type == EVENT_VERDICT && reason);
	event = ring ? event_reserve(ring, pkt) : NULL;
	if (!event) {
		count(STAT_EVENT_LOST, 1);
		return;
	}
	event->version = EVENT_VERSION | type << 4;
	event->reason = reason;
	event->cpu = bpf_get_smp_processor_id();
	event->seq = *sent;
	event->time_ns = bpf_ktime_get_coarse_ns(); /* half the price */
	event->generation = generation;
	event->suppressed = limit->suppressed[reason];
	event->flags = flags;
	event_fill(event, pkt, judged);
	limit->suppressed[reason] = 0;
	*sent += 1;
	/* Readers also poll by a timer: one wake-up for many records. */
	bpf_ringbuf_submit(event, *sent % EVENTS_A_WAKEUP ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
}

/* Says of `subject` that something happened. Never fails the packet's path. */
static __always_inline void event_emit(const struct packet *pkt, __u32 subject, __u32 type,
				       __u32 reason)
{
	if (event_is_due(type, reason))
		event_write(pkt, subject, type << 8 | reason);
}

/* Counts the packet on its device, as dropped for `reason`, or as let pass by audit for that reason less 128. */
static __always_inline void refusal_count(const struct packet *pkt, __u32 reason)
{
	__u32 key = (pkt->slot % DEVICE_SLOTS) << 8 | (reason & 0xff);
	struct drop_counter *counter = bpf_map_lookup_elem(&drop_count, &key);

	if (!counter)
		return;
	counter->packets += pkt->segments; /* per-CPU */
	counter->bytes += pkt->length;
}

/*
 * The only way to refuse a packet: counts the reason on its device and reports it, so that no drop is
 * silent. `subject` is whose judgement refused.
 */
static __always_inline int drop(const struct packet *pkt, __u32 subject, __u32 reason)
{
	refusal_count(pkt, reason);
	event_emit(pkt, subject, EVENT_DROP, reason & 0xff);
	return TC_ACT_SHOT;
}

/* Lets the packet pass, by a path that is counted. */
static __always_inline int pass(enum stat stat)
{
	count(stat, 1);
	return PASS;
}

#endif
