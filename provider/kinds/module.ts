import { type Kind, ranks } from "./kind";
import { lines } from "./probe";

/** A kernel module that must be there: loaded, or built in. Never unloaded: others may have come to use it. */
export const moduleKind: Kind<true> = {
    name: "module",
    nature: "standing",
    rank: () => ranks.module,
    read: (probe) => new Map([...lines(probe, "modules"), ...lines(probe, "builtin")].map((name) => [name, true])),
    set: (key) => [{ run: ["modprobe", key] }],
    describe: (key) => `kernel module ${key}`,
};

/**
 * A parameter that a module takes only when it is loaded (`ip_vs.conn_tab_bits`, `ip_vs_ftp.ports`). Where the module
 * is loaded with another value it is loaded anew if nothing uses it; else the step fails and says so.
 */
export const parameterKind: Kind<string> = {
    name: "parameter",
    nature: "standing",
    rank: (key) => (key.startsWith("ip_vs.") ? ranks.parameter : ranks.parameter + 1),
    read: (probe) =>
        new Map(
            lines(probe, "parameters").map((line) => {
                const at = line.indexOf(" ");
                return [line.slice(0, at), trimZeros(line.slice(at + 1).trim())];
            }),
        ),
    satisfied: (want, have) => trimZeros(want) === trimZeros(have),
    set: (key, want) => {
        const [module = "", parameter = ""] = key.split(".");
        return [{ script: RELOAD, words: [module, `${parameter}=${want}`] }];
    },
    describe: (key) => `module parameter ${key}`,
};

/** An array parameter reads back with its unused places: "21,0,0,0". */
function trimZeros(text: string): string {
    let end = text.length;
    while (text.endsWith(",0", end)) end -= 2;
    return text.slice(0, end);
}

const RELOAD = `
v=; [ ! -r "/sys/module/$1/parameters/\${2%%=*}" ] || read -r v < "/sys/module/$1/parameters/\${2%%=*}"
case $v in "\${2#*=}"|"\${2#*=}",0*) exit 0 ;; esac
if [ -d "/sys/module/$1" ]; then
    if [ "$1" = ip_vs ] && [ -n "$(ipvsadm -Sn)" ]; then
        echo "$1 is loaded with another value and carries services; it takes $2 only when it is loaded: reboot, or unload it in a maintenance window" >&2
        exit 1
    fi
    for m in $(ls /sys/module/"$1"/holders 2>/dev/null); do modprobe -r "$m" || exit 1; done
    modprobe -r "$1" || exit 1
fi
exec modprobe "$1" "$2"`.trim();
