// SPDX-License-Identifier: Apache-2.0
/* Entry of the addon: makes the instance of this environment and its table of functions. */
#include <stdlib.h>

#include "native.h"

static void instance_free(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	free(data);
}

static bool define(napi_env env, napi_value exports, const struct function *table)
{
	for (; table->name; table++) {
		napi_value fn;

		if (napi_create_function(env, table->name, NAPI_AUTO_LENGTH, table->call, NULL,
					 &fn) != napi_ok)
			return false;
		if (napi_set_named_property(env, exports, table->name, fn) != napi_ok)
			return false;
	}
	return true;
}

NAPI_MODULE_INIT(/* env, exports */)
{
	const struct function *const tables[] = {
		object_functions, adjust_functions, load_functions,   map_functions,
		view_functions,   info_functions,   link_functions,   run_functions,
		watch_functions,  socket_functions, system_functions,
	};
	struct instance *instance = calloc(1, sizeof(*instance));

	if (!instance) {
		napi_throw_error(env, "ENOMEM", "no memory for the addon's instance");
		return NULL;
	}
	instance->env = env;
	for (int i = 0; i < MAP_CACHE; i++)
		instance->shapes[i].fd = -1;
	if (napi_set_instance_data(env, instance, instance_free, NULL) != napi_ok) {
		free(instance);
		return NULL;
	}
	object_setup();
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		if (!define(env, exports, tables[i]))
			return NULL;
	return exports;
}
