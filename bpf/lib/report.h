/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of a packet that the stages decided: what is counted of it, and what people get to know. */
#ifndef MERLON_REPORT_H
#define MERLON_REPORT_H

#include "event.h"
#include "packet.h"
#include "policy.h"

/* Counts what one subject allowed; the event that tells of it, 0 = none. */
static __always_inline __u32 report_allowed(const struct judgement *judged)
{
	__u32 event = EVENT_VERDICT << 8 | judged->audited;

	if (!(judged->bits & JUDGED_TELL))
		return 0;
	if (!(judged->bits & JUDGED_NEW))
		return event;
	count(STAT_FLOW_NEW, 1);
	if (judged->bits & JUDGED_FAILSAFE)
		return EVENT_FAILSAFE << 8 | judged->audited;
	rule_flow(judged->origin);
	return event;
}

/* Is there anything to tell or to count of what the subject allowed? 0 or 1, without a branch to follow. */
static __always_inline __u32 is_notable(const struct judgement *judged)
{
	return (((judged->bits & JUDGED_TELL) | judged->audited) + 0xff) >> 8;
}

/* Subjects, a bit each, of which there is something to tell or to count. */
static __always_inline __u32 report_subjects(const struct packet *pkt, int way)
{
	return (((__u32)way >> 31) << (pkt->refuser & 1)) | is_notable(&pkt->judged[0]) |
	       (is_notable(&pkt->judged[1]) << 1);
}

/* Counts the end of a packet for one subject, and notes the event of it that is due. */
static __always_inline void report_subject(struct packet *pkt, __u32 subject, int way)
{
	const struct judgement *judged = &pkt->judged[subject];
	__u32 event;

	if (way < 0 && subject == pkt->refuser) {
		refusal_count(pkt, -way);
		event = EVENT_DROP << 8 | (-way & 0xff);
	} else {
		if (way > 0 && judged->audited)
			refusal_count(pkt, judged->audited & 0x7f);
		event = report_allowed(judged);
	}
	/* By way of memory: the verifier need not follow what comes for each. */
	*(volatile __u16 *)&pkt->event[subject] = event;
	event = *(volatile __u16 *)&pkt->event[subject];
	if (event && !event_is_due(event >> 8, event & 0xff))
		*(volatile __u16 *)&pkt->event[subject] = 0;
}

/* As report_subject, for the second one: few packets have two with something to say. */
__noinline int report_other(struct packet *pkt, __u32 subject, int way)
{
	if (!pkt)
		return 0;
	BOUND_TO_BIT(subject);
	report_subject(pkt, subject, way);
	return 0;
}

/* The same of whoever has something to say; whether an event is due. */
static __always_inline bool report_is_due(struct packet *pkt, int way)
{
	__u32 subjects = report_subjects(pkt, way), subject = !(subjects & 1);

	if (!subjects)
		return false;
	BOUND_TO_BIT(subject);
	report_subject(pkt, subject, way);
	if (subjects == 3)
		report_other(pkt, SUBJECT_POD, way);
	return *(volatile __u16 *)&pkt->event[0] | *(volatile __u16 *)&pkt->event[1];
}

/*
 * Tells one of the things that were noted; whether there is another. A refusal comes last, since another subject
 * may have allowed the packet before.
 */
static __always_inline bool report_one(struct packet *pkt)
{
	__u32 subject = pkt->way < 0 ? !pkt->refuser : SUBJECT_HOST;
	__u32 what;

	subject ^= !pkt->event[subject & 1];
	BOUND_TO_BIT(subject);
	what = pkt->event[subject];
	pkt->event[subject] = 0;
	event_write(pkt, subject, what);
	return pkt->event[0] | pkt->event[1];
}

#endif
