/**
 * A full machine with systemd that is reset, as by its power switch, in the middle of an `up` or `destroy` through the
 * real engine: /run is empty then, what was not written to the disk is lost, and the boot unit sets what the ledger
 * claims. Afterwards everything is as before or as declared, or the error says what is left; what others have is
 * untouched, and a plain `up`, or `destroy`, comes to its end. LVS_FAULT_SAY=1 tells each.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import * as lvs from "pulumi-lvs";
import { type Lab, startLab } from "../support/lab";
import { isForeign, lookBy, MODULES, tellsWhatIsLeft } from "../support/look";
import { makeStack, type Summary, type TestStack } from "../support/stack";
import { arm, setTraps } from "../support/traps";

/** What the stack is to come to: nothing, the program, or the program after an edit. */
type Goal = "nothing" | "declared" | "edited";

/** One life of the stack; at the first command that the pattern matches the machine is reset. */
const rows: { from: Goal; to: Goal; command: string }[] = [
    { from: "nothing", to: "declared", command: "ipvsadm -R*" },
    { from: "declared", to: "edited", command: "ip fou add*" },
    { from: "edited", to: "nothing", command: "ip link del*" },
];

/** The machine is a director, and a real server of a service whose VIP is elsewhere. */
const program =
    (edited: boolean): PulumiFn =>
    async () => {
        const director = new lvs.Director("machine", {
            connection: "machine",
            interface: "eth0",
            sysctls: { "net.ipv4.vs.expire_nodest_conn": 1 },
            masquerade: [{ source: "10.77.2.0/24" }],
        });
        const web = { director, protocol: "tcp", port: 80, scheduler: edited ? "rr" : "wlc" } as const;
        const service = new lvs.VirtualService("web", { ...web, address: "10.77.1.100" });
        new lvs.RealServer("web1", { service, address: "10.77.1.21", weight: edited ? 3 : 1 });
        new lvs.RealServer("own", {
            service: new lvs.VirtualService("elsewhere", { ...web, address: "10.77.1.150", vip: { external: true } }),
            address: "10.77.1.10",
            forwarding: "tun",
            connection: "machine",
            ...(edited ? { tunnel: { type: "gue", port: 6080 } } : {}),
        });
    };

/** The lab's disk has no journal, without which what a reset leaves of a file system is chance; a reboot takes it up. */
const JOURNAL = "tune2fs -J size=8 /dev/vda >&2";

/** What others have there, and what a reboot brings back of it. */
const FOREIGN = `
printf 'flush ruleset\\ntable inet foreign {\\n chain there {\\n  tcp dport 9 drop\\n }\\n}\\n' > /etc/nftables.conf
systemctl enable --now nftables 2>&1
echo net.ipv4.conf.eth0.log_martians=1 > /etc/sysctl.d/95-foreign.conf
sysctl -qp /etc/sysctl.d/95-foreign.conf
set -- ${MODULES.replace("modprobe -a ", "")}
printf '%s\\n' "$@" > /etc/modules-load.d/foreign.conf
modprobe -a "$@"`;

/** An emulated machine on a busy one may take minutes to boot. */
jest.setTimeout(1_800_000);

let lab: Lab;
let stack: TestStack;
/** The machine as it is to be. */
const looks = {} as Record<Goal, string[]>;

const sh = (script: string) => lab.sh("machine", script);
const look = () => lookBy(sh);

/** A plain run that comes to the goal. */
async function reach(goal: Goal): Promise<Summary> {
    if (goal === "nothing") return stack.destroy();
    await stack.use(program(goal === "edited"));
    return stack.up();
}

const BOOT_ID = "cat /proc/sys/kernel/random/boot_id";
const currentBoot = () => sh(BOOT_ID);

/** Waits until the machine has booted once more, lets us in and has set what the ledger claims, at most ten minutes. */
async function rebooted(bootId: string): Promise<void> {
    for (const end = Date.now() + 600_000; Date.now() < end; await sleep(1_000)) {
        const { status, stdout } = await lab.run("machine", BOOT_ID);
        if (status !== 0 || stdout === bootId) continue;
        await sh("systemctl is-system-running --wait || :");
        return;
    }
    throw new Error("the machine did not come back");
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "machine.json"));
    await sh(FOREIGN);
    const bootId = await currentBoot();
    await sh(`${JOURNAL}; systemctl --no-block reboot`);
    await rebooted(bootId);
    expect(await sh("dumpe2fs -h /dev/vda 2>/dev/null")).toMatch(/features:.* has_journal/);
    await setTraps(lab, "machine");
    stack = await makeStack({ program: program(false), config: { "lvs:hosts": lab.lvsHosts() } });
    looks.nothing = await look();
    for (const goal of ["declared", "edited"] as const) {
        await reach(goal);
        looks[goal] = await look();
    }
    await reach("nothing");
});
afterAll(async () => {
    await stack?.remove();
    await lab?.down();
});

test("without a fault the machine is as declared, as edited, and in the end as it was found", async () => {
    expect(looks.nothing.filter(isForeign)).not.toEqual([]);
    expect(looks.declared).not.toEqual(looks.nothing);
    expect(looks.edited).not.toEqual(looks.declared);
    expect(await look()).toEqual(looks.nothing);
});

test.each(rows)("from $from to $to: a reset at $command", async ({ from, to, command }) => {
    const bootId = await currentBoot();
    await sh(arm(1, "resets its machine", command));
    const said = await reach(to).then(
        () => undefined,
        (error: Error & { output: string }) => `${error.output}${error.message}`,
    );
    expect((await lab.run("machine", BOOT_ID)).stdout).not.toBe(bootId);
    await rebooted(bootId);
    const seen = await look();
    const strays = [
        ...seen.filter((line) => !looks[from].includes(line) && !looks[to].includes(line)).map((line) => `+ ${line}`),
        ...looks[from].filter((line) => looks[to].includes(line) && !seen.includes(line)).map((line) => `- ${line}`),
    ];
    if (process.env["LVS_FAULT_SAY"] === "1") {
        process.stderr.write(`${command}\n${said?.slice(0, 3_000) ?? "done"}\n${strays.join("\n")}\n`);
    }
    if (said === undefined) expect(seen).toEqual(looks[to]);
    else expect(said).toMatch(/\bmachine \(root@127\.0\.0\.1:\d+\)/);
    expect(seen.filter(isForeign)).toEqual(looks.nothing.filter(isForeign));
    if (!tellsWhatIsLeft(said ?? "")) expect(strays).toEqual([]);

    await reach(to);
    expect(await look()).toEqual(looks[to]);
    if (to === "nothing") {
        expect(stack.state()).not.toContain("lvs:");
        return;
    }
    expect((await stack.up()).changes).toEqual({});
    expect((await stack.refresh()).changes).toEqual({});
});
