// SPDX-License-Identifier: Apache-2.0
/*
 * Attaching. Links by bpf(2) itself, because libbpf 1.1 and the headers of Debian 12 know no tcx; the
 * argument structs follow include/uapi/linux/bpf.h of Linux 6.6. Before 6.6 there is clsact, by libbpf.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include "native.h"

#define MAX_QUERY 64

struct link_create_attr {
	uint32_t prog_fd;
	uint32_t target; /* descriptor or ifindex */
	uint32_t attach_type;
	uint32_t flags;
	union {
		struct {
			uint64_t info;
			uint32_t info_len;
		} iter;
		struct {
			uint32_t relative; /* descriptor, or id with BPF_F_ID */
			uint32_t pad;
			uint64_t expected_revision;
		} tcx;
	};
	uint64_t room[4];
};

/* linkCreate(progFd, target, attachType, flags, relative, expectedRevision, iterMapFd): descriptor */
static napi_value link_create(napi_env env, napi_callback_info info)
{
	union bpf_iter_link_info iter = {};
	struct link_create_attr attr = {};
	struct args a;
	int fd;

	args_read(&a, env, info);
	attr.prog_fd = (uint32_t)arg_fd(&a, 0, "progFd");
	attr.target = (uint32_t)arg_fd(&a, 1, "target");
	attr.attach_type = arg_u32(&a, 2, "attachType");
	attr.flags = arg_u32(&a, 3, "flags");
	uint32_t relative = arg_absent(&a, 4) ? 0 : arg_u32(&a, 4, "relative");
	uint64_t revision = arg_absent(&a, 5) ? 0 : arg_u64(&a, 5, "expectedRevision");
	if (!arg_absent(&a, 6)) {
		iter.map.map_fd = (uint32_t)arg_fd(&a, 6, "iterMapFd");
		attr.iter.info = (uint64_t)(uintptr_t)&iter;
		attr.iter.info_len = sizeof(iter);
	} else {
		attr.tcx.relative = relative;
		attr.tcx.expected_revision = revision;
	}
	if (a.failed)
		return NULL;
	fd = sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
	if (fd < 0)
		return throw_errno(env, errno, "BPF_LINK_CREATE",
				   "attach program descriptor %u to target %u (attach type %u)",
				   attr.prog_fd, attr.target, attr.attach_type);
	return to_i64(env, fd);
}

/* linkUpdate(linkFd, newProgFd, oldProgFd or null) */
static napi_value link_update(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts);
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "linkFd");
	int prog = arg_fd(&a, 1, "newProgFd");
	if (!arg_absent(&a, 2)) {
		opts.old_prog_fd = (uint32_t)arg_fd(&a, 2, "oldProgFd");
		opts.flags = BPF_F_REPLACE;
	}
	if (a.failed)
		return NULL;
	if (bpf_link_update(fd, prog, &opts))
		return throw_errno(env, errno, "BPF_LINK_UPDATE",
				   "replace the program of link descriptor %d", fd);
	return NULL;
}

/* linkDetach(linkFd): takes effect now, whoever else holds the link */
static napi_value link_detach(napi_env env, napi_callback_info info)
{
	struct args a;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "linkFd");
	if (a.failed)
		return NULL;
	if (bpf_link_detach(fd))
		return throw_errno(env, errno, "BPF_LINK_DETACH", "detach link descriptor %d", fd);
	return NULL;
}

struct prog_query_attr {
	uint32_t target;
	uint32_t attach_type;
	uint32_t query_flags;
	uint32_t attach_flags;
	uint64_t prog_ids;
	uint32_t count;
	uint32_t pad;
	uint64_t prog_attach_flags;
	uint64_t link_ids;
	uint64_t link_attach_flags;
	uint64_t revision;
};

/* progQuery(target, attachType, flags): { revision, programs: { progId, linkId }[] } in order of execution */
static napi_value prog_query(napi_env env, napi_callback_info info)
{
	uint32_t prog_ids[MAX_QUERY] = {}, link_ids[MAX_QUERY] = {};
	napi_value out, list, row;
	struct prog_query_attr attr = {
		.prog_ids = (uint64_t)(uintptr_t)prog_ids,
		.count = MAX_QUERY,
	};
	struct args a;

	args_read(&a, env, info);
	attr.target = (uint32_t)arg_fd(&a, 0, "target");
	attr.attach_type = arg_u32(&a, 1, "attachType");
	attr.query_flags = arg_u32(&a, 2, "flags");
	bool has_links = arg_bool(&a, 3, "hasLinks");
	if (a.failed)
		return NULL;
	if (has_links)
		attr.link_ids = (uint64_t)(uintptr_t)link_ids;
	if (sys_bpf(BPF_PROG_QUERY, &attr, sizeof(attr)))
		return throw_errno(env, errno, "BPF_PROG_QUERY",
				   "programs on target %u (attach type %u)", attr.target,
				   attr.attach_type);
	napi_create_object(env, &out);
	napi_create_array(env, &list);
	for (uint32_t i = 0; i < attr.count && i < MAX_QUERY; i++) {
		napi_create_object(env, &row);
		put(env, row, "progId", to_u32(env, prog_ids[i]));
		put(env, row, "linkId", to_u32(env, link_ids[i]));
		napi_set_element(env, list, i, row);
	}
	put(env, out, "revision", to_u64(env, attr.revision));
	put(env, out, "programs", list);
	return out;
}

static enum bpf_tc_attach_point tc_point(bool is_ingress)
{
	return is_ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

/* tcAttach(ifindex, isIngress, progFd, priority, handle): makes the clsact qdisc, replaces what is there */
static napi_value tc_attach(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook);
	LIBBPF_OPTS(bpf_tc_opts, opts, .flags = BPF_TC_F_REPLACE);
	struct args a;
	int err;

	args_read(&a, env, info);
	hook.ifindex = arg_fd(&a, 0, "ifindex");
	hook.attach_point = tc_point(arg_bool(&a, 1, "isIngress"));
	opts.prog_fd = arg_fd(&a, 2, "progFd");
	opts.priority = arg_u32(&a, 3, "priority");
	opts.handle = arg_u32(&a, 4, "handle");
	if (a.failed)
		return NULL;
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return throw_errno(env, err, "RTM_NEWQDISC", "make clsact of ifindex %d",
				   hook.ifindex);
	err = bpf_tc_attach(&hook, &opts);
	if (err)
		return throw_errno(env, err, "RTM_NEWTFILTER",
				   "attach filter to clsact of ifindex %d", hook.ifindex);
	return to_u32(env, opts.prog_id);
}

/* tcDetach(ifindex, isIngress, priority, handle): was there; the qdisc stays, others may use it */
static napi_value tc_detach(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook);
	LIBBPF_OPTS(bpf_tc_opts, opts);
	struct args a;
	int err;

	args_read(&a, env, info);
	hook.ifindex = arg_fd(&a, 0, "ifindex");
	hook.attach_point = tc_point(arg_bool(&a, 1, "isIngress"));
	opts.priority = arg_u32(&a, 2, "priority");
	opts.handle = arg_u32(&a, 3, "handle");
	if (a.failed)
		return NULL;
	err = bpf_tc_detach(&hook, &opts);
	/* EINVAL: no clsact there at all. */
	if (err == -ENOENT || err == -EINVAL)
		return to_bool(env, false);
	if (err)
		return throw_errno(env, err, "RTM_DELTFILTER",
				   "detach filter from clsact of ifindex %d", hook.ifindex);
	return to_bool(env, true);
}

/* tcQuery(ifindex, isIngress, priority, handle): id of the program, 0 = none */
static napi_value tc_query(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook);
	LIBBPF_OPTS(bpf_tc_opts, opts);
	struct args a;
	int err;

	args_read(&a, env, info);
	hook.ifindex = arg_fd(&a, 0, "ifindex");
	hook.attach_point = tc_point(arg_bool(&a, 1, "isIngress"));
	opts.priority = arg_u32(&a, 2, "priority");
	opts.handle = arg_u32(&a, 3, "handle");
	if (a.failed)
		return NULL;
	err = bpf_tc_query(&hook, &opts);
	if (err == -ENOENT || err == -EINVAL)
		return to_u32(env, 0);
	if (err)
		return throw_errno(env, err, "RTM_GETTFILTER", "filter of clsact of ifindex %d",
				   hook.ifindex);
	return to_u32(env, opts.prog_id);
}

const struct function link_functions[] = {
	{ "linkCreate", link_create }, { "linkUpdate", link_update },
	{ "linkDetach", link_detach }, { "progQuery", prog_query },
	{ "tcAttach", tc_attach },     { "tcDetach", tc_detach },
	{ "tcQuery", tc_query },       {},
};
