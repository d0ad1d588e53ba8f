/** What a person sees of a long step: what it is, that it lives, how long it took. On stderr, always. */

const seconds = (since) => Math.round((Date.now() - since) / 1000);

/**
 * Runs `work`, showing `title` and the seconds that have passed: on a terminal once a second in place, in a log every
 * fifteen.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
    const terminal = process.stderr.isTTY;
    const since = Date.now();
    const say = (text) => process.stderr.write(terminal ? `\r\u001b[K${text}` : `${text}\n`);
    say(`setup: ${title} …`);
    const timer = setInterval(() => say(`setup: ${title} … ${seconds(since)} s`), terminal ? 1000 : 15_000);
    try {
        const result = await work();
        say(`setup: ${title}: done, ${seconds(since)} s`);
        return result;
    } catch (error) {
        say(`setup: ${title}: failed after ${seconds(since)} s`);
        throw error;
    } finally {
        clearInterval(timer);
        if (terminal) process.stderr.write("\n");
    }
}
