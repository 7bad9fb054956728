// SPDX-License-Identifier: Apache-2.0
/*
 * Readable descriptors wake JavaScript: uv_poll on the loop of the environment that asked, main thread or
 * worker. A watch lives until unwatch() or the end of its environment, whichever comes first.
 */
#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "native.h"

static const napi_type_tag watch_tag = { 0x6d65726c6f6e7761, 0x7463680000000001 };

struct watch {
	uv_poll_t poll;
	struct watch *next;
	struct watch **link;
	napi_env env;
	napi_ref callback;
	napi_async_context context;
	napi_async_cleanup_hook_handle cleanup;
	int fd;
	bool is_open;
	bool is_held; /* JavaScript still has the handle */
};

bool fd_watched(struct instance *instance, int fd)
{
	for (struct watch *w = instance->watches; w; w = w->next)
		if (w->fd == fd)
			return true;
	return false;
}

static void closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;

	if (w->cleanup)
		napi_remove_async_cleanup_hook(w->cleanup);
	w->cleanup = NULL;
	w->is_open = false;
	if (!w->is_held)
		free(w);
}

static void stop(struct watch *w)
{
	if (!w->link)
		return;
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	w->link = NULL;
	uv_poll_stop(&w->poll);
	napi_delete_reference(w->env, w->callback);
	napi_async_destroy(w->env, w->context);
	uv_close((uv_handle_t *)&w->poll, closed);
}

/* The environment ends: its loop still turns until the handle is closed. */
static void cleanup(napi_async_cleanup_hook_handle handle, void *data)
{
	struct watch *w = data;

	(void)handle;
	stop(w);
}

static void forgotten(napi_env env, void *data, void *hint)
{
	struct watch *w = data;

	(void)env;
	(void)hint;
	w->is_held = false;
	if (!w->is_open)
		free(w);
}

static void ready(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	napi_value callback, self, argument, error;
	napi_handle_scope scope;
	napi_status result;

	if (napi_open_handle_scope(w->env, &scope) != napi_ok)
		return;
	if (napi_get_reference_value(w->env, w->callback, &callback) == napi_ok &&
	    napi_get_global(w->env, &self) == napi_ok) {
		/* A negative number is an errno; else UV_READABLE, UV_WRITABLE as bits. */
		argument = to_i64(w->env, status < 0 ? status : events);
		result = napi_make_callback(w->env, w->context, self, callback, 1, &argument, NULL);
		if (result == napi_pending_exception &&
		    napi_get_and_clear_last_exception(w->env, &error) == napi_ok)
			napi_fatal_exception(w->env, error);
	}
	napi_close_handle_scope(w->env, scope);
}

/* Everything a watch needs but the loop; false leaves nothing behind. */
static bool prepare(struct watch *w, napi_value fn)
{
	if (napi_create_reference(w->env, fn, 1, &w->callback) != napi_ok)
		return false;
	if (napi_async_init(w->env, NULL, to_text(w->env, "merlon:watch"), &w->context) == napi_ok)
		return true;
	napi_delete_reference(w->env, w->callback);
	return false;
}

static void enlist(struct watch *w)
{
	struct instance *instance = instance_of(w->env);

	w->link = &instance->watches;
	w->next = instance->watches;
	if (w->next)
		w->next->link = &w->next;
	instance->watches = w;
	napi_add_async_cleanup_hook(w->env, cleanup, w, &w->cleanup);
}

/* watch(fd, fn, events): handle */
static napi_value watch_start(napi_env env, napi_callback_info info)
{
	napi_valuetype type = napi_undefined;
	uv_loop_t *loop;
	struct watch *w;
	struct args a;
	int err;

	args_read(&a, env, info);
	int fd = arg_fd(&a, 0, "fd");
	if (!a.failed &&
	    (a.count < 2 || napi_typeof(env, a.v[1], &type) != napi_ok || type != napi_function))
		arg_wrong(&a, "fn", "a function");
	int events = arg_i32(&a, 2, "events");
	if (a.failed || napi_get_uv_event_loop(env, &loop) != napi_ok)
		return NULL;
	if (fd_watched(instance_of(env), fd))
		return throw_errno(env, EEXIST, "uv_poll_init", "watch descriptor %d", fd);
	w = calloc(1, sizeof(*w));
	if (!w)
		return throw_errno(env, ENOMEM, "uv_poll_init", "watch descriptor %d", fd);
	w->env = env;
	w->fd = fd;
	err = uv_poll_init(loop, &w->poll, fd);
	if (err || !prepare(w, a.v[1])) {
		if (!err)
			uv_close((uv_handle_t *)&w->poll, (uv_close_cb)free);
		else
			free(w);
		return throw_errno(env, err ? err : ENOMEM, "uv_poll_init", "watch descriptor %d",
				   fd);
	}
	w->poll.data = w;
	w->is_open = true;
	enlist(w);
	err = uv_poll_start(&w->poll, events, ready);
	if (err) {
		stop(w);
		return throw_errno(env, err, "uv_poll_start", "watch descriptor %d", fd);
	}
	w->is_held = true;
	napi_value handle = to_external(env, w, forgotten, &watch_tag);
	if (!handle) {
		w->is_held = false;
		stop(w);
	}
	return handle;
}

/* unwatch(handle): fn is not called again; the descriptor may be closed now */
static napi_value watch_stop(napi_env env, napi_callback_info info)
{
	struct watch *w;
	struct args a;

	args_read(&a, env, info);
	w = arg_external(&a, 0, "handle", &watch_tag);
	if (w)
		stop(w);
	return NULL;
}

/* watchRef(handle, isRef): whether the watch alone keeps the process (or worker) alive */
static napi_value watch_ref(napi_env env, napi_callback_info info)
{
	struct watch *w;
	struct args a;

	args_read(&a, env, info);
	w = arg_external(&a, 0, "handle", &watch_tag);
	bool is_ref = arg_bool(&a, 1, "isRef");
	if (a.failed || !w->link)
		return NULL;
	if (is_ref)
		uv_ref((uv_handle_t *)&w->poll);
	else
		uv_unref((uv_handle_t *)&w->poll);
	return NULL;
}

const struct function watch_functions[] = {
	{ "watch", watch_start },
	{ "unwatch", watch_stop },
	{ "watchRef", watch_ref },
	{},
};
