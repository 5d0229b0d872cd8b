import { EPOCH_SCRIPT } from './epoch-script.ts';
import { CHANNEL_LUA, EPOCH_FUNCTION_LUA, PUBLISH_FUNCTION_LUA } from './lua.ts';
import { PUBLISH_SCRIPT } from './publish-script.ts';

/**
 * The same functions as a library for FUNCTION LOAD (Redis 7 and later), to be called by FCALL. A
 * later version has another library name and other function names, so that both can be loaded.
 */
export const FUNCTION_LIBRARY = `\
#!lua name=tradewind_functions_1
-- ${PUBLISH_SCRIPT.name} and ${EPOCH_SCRIPT.name} for FCALL. See docs/publishing.md.
${CHANNEL_LUA}
${PUBLISH_FUNCTION_LUA}
${EPOCH_FUNCTION_LUA}
redis.register_function('${PUBLISH_SCRIPT.name}', publish)
redis.register_function('${EPOCH_SCRIPT.name}', start_epoch)
`;
