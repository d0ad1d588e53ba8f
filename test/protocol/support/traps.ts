/** Commands of a lab host that count how often they are called, and go wrong where a test says. */
import type { Lab } from "../../support/lab";

/** What happens at the nth command: it fails without or after its work, never ends, or ends its whole session. */
export type Fault = "fails" | "fails after its work" | "hangs" | "kills its session";

/** What the provider's scripts run as processes, as far as a fault in it has consequences. */
const COMMANDS = ["ipvsadm", "ip", "nft", "modprobe", "sync", "mv", "rm", "mkdir", "rmdir", "cksum", "grep", "sed"];

const DIRECTORY = "/root/traps";

const trap = (real: string): string => `#!/bin/sh
[ -e ${DIRECTORY}/armed ] || exec ${real} "$@"
read -r n < ${DIRECTORY}/count
n=$((n + 1))
echo $n > ${DIRECTORY}/count
read -r at fault < ${DIRECTORY}/armed
[ "$n" = "$at" ] || exec ${real} "$@"
echo "\${0##*/} $*" > ${DIRECTORY}/sprung
case $fault in
"fails after its work") ${real} "$@"; exit 1 ;;
hangs) exec sleep 600 ;;
"kills its session") pkill -9 -s 0; kill -9 $$ ;;
esac
echo "trapped" >&2
exit 1
`;

/** Puts the traps before the real commands; they do nothing until they are armed. */
export async function setTraps(lab: Lab, host: string): Promise<void> {
    const lines = [`mkdir -p ${DIRECTORY}`];
    for (const command of COMMANDS) {
        const real = (await lab.sh(host, `PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v ${command}`)).trim();
        lines.push(`cat > /usr/local/bin/${command} <<'TRAP'\n${trap(real)}TRAP`, `chmod +x /usr/local/bin/${command}`);
    }
    await lab.sh(host, lines.join("\n"));
}

/** The shell text that arms them: at the nth command from now; 0: they only count. */
export const arm = (at: number, fault: Fault): string =>
    `rm -f ${DIRECTORY}/sprung; echo 0 > ${DIRECTORY}/count; echo '${at} ${fault}' > ${DIRECTORY}/armed`;

/**
 * The shell text that disarms them, and prints how many commands there were, and the one that went wrong. Its own rm is
 * none of those that may go wrong.
 */
export const disarm = `/bin/rm -f ${DIRECTORY}/armed; cat ${DIRECTORY}/count ${DIRECTORY}/sprung 2>/dev/null; rm -f ${DIRECTORY}/sprung ${DIRECTORY}/count`;
