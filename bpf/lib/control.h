/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which slot rules (HF-7.1). The word is read once a packet, before any table; the clock only while a
 * change is unconfirmed or a mode is timed.
 */
#ifndef MERLON_CONTROL_H
#define MERLON_CONTROL_H

#include "packet.h"

#define CONTROL_FIELD(word, shift) (((word) >> (shift)) & 0xff)
#define CONTROL_PLAIN(state, mode) \
	((__u64)(state) << CONTROL_STATE_SHIFT | (__u64)(mode) << CONTROL_MODE_SHIFT)
#define CONTROL_PLAIN_MASK CONTROL_PLAIN(0xff, 0xff)

/* The rare states: subject flags << 8 | slot. */
__noinline int control_resolve(void)
{
	struct hostfw_control *control;
	__u32 zero = 0, slot, state, mode, flags = SUBJECT_PRESENT;
	__u64 word, deadline, mode_until;

	control = bpf_map_lookup_elem(&hostfw_control, &zero);
	if (!control)
		return SUBJECT_OPEN << 8;
	word = *(volatile __u64 *)&control->control;
	deadline = *(volatile __u64 *)&control->deadline_boot_ns;
	mode_until = *(volatile __u64 *)&control->mode_until_boot_ns;
	slot = CONTROL_FIELD(word, CONTROL_ACTIVE_SHIFT);
	state = CONTROL_FIELD(word, CONTROL_STATE_SHIFT);
	mode = CONTROL_FIELD(word, CONTROL_MODE_SHIFT);

	if (mode != MODE_ENFORCE && mode_until && bpf_ktime_get_boot_ns() > mode_until)
		mode = MODE_ENFORCE;
	if (state == CONTROL_UNCONFIRMED && bpf_ktime_get_boot_ns() > deadline)
		slot = CONTROL_FIELD(word, CONTROL_FALLBACK_SHIFT);
	if (state == CONTROL_EMPTY || mode == MODE_OFF)
		flags |= SUBJECT_OPEN;
	if (mode == MODE_AUDIT)
		flags |= SUBJECT_AUDIT;
	if (mode == MODE_FAILSAFE)
		flags |= SUBJECT_LOCKED;
	return flags << 8 | (slot % HOST_SLOTS);
}

static __always_inline void subject_take(struct subject *subject, struct ruleset *set, __u32 index,
					 __u32 slot, __u32 flags)
{
	subject->ruleset = index;
	subject->slot = slot;
	subject->generation = set ? set->slot[slot % HOST_SLOTS].generation : 0;
	if (flags & SUBJECT_LOCKED)
		subject->generation = ~0U; /* no cached verdict counts */
	if (!subject->generation || flags & SUBJECT_OPEN) {
		subject->generation = 0;
		flags |= SUBJECT_OPEN;
	}
	subject->flags = flags | SUBJECT_PRESENT;
}

/* The host endpoint as a subject of this packet. */
static __always_inline void subject_host(struct subject *subject)
{
	__u32 zero = 0, index = RULESET_HOST, resolved;
	struct hostfw_control *control = bpf_map_lookup_elem(&hostfw_control, &zero);
	struct ruleset *set = bpf_map_lookup_elem(&rulesets, &index);
	__u64 word;

	if (!control)
		return;
	word = *(volatile __u64 *)&control->control;
	if ((word & CONTROL_PLAIN_MASK) == CONTROL_PLAIN(CONTROL_CONFIRMED, MODE_ENFORCE)) {
		subject_take(subject, set, index, word % HOST_SLOTS, 0);
		return;
	}
	resolved = control_resolve();
	subject_take(subject, set, index, resolved % HOST_SLOTS, resolved >> 8);
}

/* The same, where a call does not count. */
__noinline int subject_add_host(struct subject *subject)
{
	if (subject)
		subject_host(subject);
	return 0;
}

/* A pod as a subject: its rule set switches by a word of its own, unguarded. */
static __always_inline void subject_pod(struct subject *subject, const struct endpoint *endpoint)
{
	__u32 index = endpoint->ruleset, flags = 0;
	struct ruleset *set = bpf_map_lookup_elem(&rulesets, &index);
	__u64 word = set ? *(volatile __u64 *)&set->control : 0;

	if (CONTROL_FIELD(word, CONTROL_STATE_SHIFT) == CONTROL_EMPTY)
		flags |= SUBJECT_OPEN;
	if (endpoint->flags & ENDPOINT_AUDIT)
		flags |= SUBJECT_AUDIT;
	subject_take(subject, set, index, word % HOST_SLOTS, flags);
}

/* Does any policy select the subject in this direction? */
static __always_inline bool subject_is_selected(const struct subject *subject, __u32 dir)
{
	__u32 index = subject->ruleset;
	struct ruleset *set;

	if (subject->flags & SUBJECT_OPEN)
		return false;
	if (subject->flags & SUBJECT_LOCKED)
		return true;
	set = bpf_map_lookup_elem(&rulesets, &index);
	return set && set->slot[subject->slot % HOST_SLOTS].dir[dir & 1].flags & RSDIR_ENFORCED;
}

/* The direction of a subject's judgement: the owner of the hook sees `dir`, the other one its reverse. */
static __always_inline __u32 subject_dir(const struct packet *pkt, __u32 subject)
{
	return (pkt->dir ^ pkt->owner ^ subject) & 1; /* no branch for the verifier to follow */
}

static __always_inline struct live_state *live_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&live, &zero);
}

#endif
