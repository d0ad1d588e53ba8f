/** The lab's hosts as the demo sees them: what is on them, their web servers, requests through the VIP. */

/** @typedef {import("../lab/boot.mjs").Lab} Lab */

/**
 * Runs a shell text on a host and returns its output.
 * @param {Lab} lab @param {string} host @param {string} script
 */
export async function sh(lab, host, script) {
    const { code, stdout, stderr } = await lab.exec(host, ["sh"], { input: script });
    if (code !== 0) throw new Error(`${host}: status ${code}: ${stderr || stdout}`);
    return stdout;
}

/**
 * What must be the same before and after, by section. Not looked at: what a kernel module brings by being loaded
 * (fallback devices, settings of its own), counters, logs.
 */
const SECTIONS = {
    addresses: "ip -o address show | awk '{ print $2, $3, $4 }'",
    links: "ip -o link show | awk '{ print $2, $3 }'",
    routes: "ip route show; ip -6 route show",
    settings: "grep -rs . /proc/sys/net/ipv4 /proc/sys/net/ipv6",
    rules: "[ ! -e /proc/net/ip_vs ] || ipvsadm -Sn",
    nftables: "nft -s list ruleset",
    files: [
        "find /etc -xdev -type f -exec md5sum {} +",
        "find /var/lib /var/spool /usr/local /root -xdev -path /var/lib/dpkg -prune -o ! -type d -printf '%p %s %m %l\\n'",
        // The lock of the provider's scripts lives in /run, and stays.
        "find /etc /var/lib /run -xdev -path /run/pulumi-lvs -prune -o -type d -print",
    ].join("; "),
};

const MARK = "@@ section";

/** The text that prints them. */
export const LOOK = Object.entries(SECTIONS)
    .map(([name, command]) => `echo '${MARK} ${name}'\n${command}`)
    .join("\n");

/**
 * @typedef {Record<string, string[]>} View a host, by section, in lines
 * @param {string} text what LOOK printed
 * @returns {View}
 */
export function viewOf(text) {
    const parts = text.split(new RegExp(`^${MARK} `, "m")).slice(1);
    return Object.fromEntries(
        parts.map((part) => {
            const [name, ...lines] = part.split("\n");
            return [name, lines.filter((line) => line !== "").sort()];
        }),
    );
}

/** Devices that a module brings into every network namespace when it is loaded, with what hangs on them. */
const FALLBACK = /\b(tunl0|gre0|gretap0|erspan0|sit0|ip6tnl0|ip6gre0)\b/;
/** Settings that come with a module: they were not there before, so nobody had set them. */
const BROUGHT = /^\/proc\/sys\/net\/(ipv4\/vs|netfilter)\//;

/**
 * The lines that came and went between two views of a host.
 * @param {View} before @param {View} after
 * @returns {string[]} each with its section, and + or - before it
 */
export function differences(before, after) {
    return Object.keys(before).flatMap((section) => {
        const [was, is] = [before[section], after[section]];
        const came = is.filter((line) => !was.includes(line) && !FALLBACK.test(line) && !BROUGHT.test(line));
        const went = was.filter((line) => !is.includes(line));
        return [...came.map((line) => `${section}: + ${line}`), ...went.map((line) => `${section}: - ${line}`)];
    });
}

/** Starts a web server that answers with its host's name. */
export const SERVE = "mkdir -p /srv/www && hostname >/srv/www/index.html && busybox httpd -p 80 -h /srv/www";

/**
 * Sends requests, each over a connection of its own, and counts who answered.
 * @param {Lab} lab @param {string} client @param {string} url @param {number} count
 * @returns {Promise<Map<string, number>>}
 */
export async function requests(lab, client, url, count) {
    const command = `curl -sS -m 10 -H 'Connection: close' '${url}?[1-${count}]'`;
    const { stdout, stderr } = await lab.exec(client, ["sh"], { input: command });
    const answers = new Map();
    for (const name of stdout.split("\n").filter((line) => line !== ""))
        answers.set(name, (answers.get(name) ?? 0) + 1);
    if (stderr !== "") answers.set(`no answer: ${stderr.trim().split("\n")[0]}`, stderr.trim().split("\n").length);
    return answers;
}
