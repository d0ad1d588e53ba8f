/**
 * Random histories of two stacks on one director and one real server's host, and of somebody who edits by hand beside
 * them, against a small model: after each step both kernels are what the model says. In the exhaustive run 300 histories; in `npm test` as many of them as
 * fit in a time.
 */
import { join } from "node:path";
import fc from "fast-check";
import type { ResourceType } from "../../provider/dynamic/shim";
import { connectionSchema } from "../../provider/ssh/connection";
import { closeAll, runScript } from "../../provider/ssh/session";
import { type Lab, startLab } from "../support/lab";
import { seconds, seed } from "../support/sample";
import { type Properties, ProviderProcess, type State } from "./support/process";

const HISTORIES = 300;
const SECONDS = seconds(90);

const VIP = "10.77.1.100";
const SETTING = "net.ipv4.vs.expire_nodest_conn";
const at = { name: "dir", connection: "dir", interface: "eth0" };
/** The real server that is a resource of its own, with its own side on web1; the others are inline. */
const OWN = "21";
/** What its own side sets on the interface that is asked for the VIP. */
const ARP = { "net.ipv4.conf.eth0.arp_ignore": "1", "net.ipv4.conf.eth0.arp_announce": "2" };

const stacks = ["shop", "blog"] as const;
type Stack = (typeof stacks)[number];
const ports: Record<Stack, number> = { shop: 80, blog: 443 };

/** A rule, and where its real server takes packets in: lo by dr, the tunnel by tun. */
interface Rule {
    weight: number;
    method: "dr" | "tun";
}

/** A service: its scheduler, and its real servers by the last part of their addresses. */
interface Service {
    scheduler: string;
    servers: Record<string, Rule>;
}

type Edited = "weight" | "scheduler" | "service" | "rule" | "address" | "setting" | "own address" | "arp";

type Step =
    | { do: "serve"; stack: Stack; service: Service }
    | { do: "join"; stack: Stack; rule: Rule }
    | { do: "leave"; stack: Stack }
    | { do: "rename"; stack: Stack }
    | { do: "repair"; stack: Stack }
    | { do: "destroy"; stack: Stack }
    | { do: "set"; stack: Stack; value: string }
    | { do: "edit"; stack: Stack; what: Edited; value: number };

const stack = fc.constantFrom(...stacks);
const weight = fc.integer({ min: 0, max: 3 });
const service: fc.Arbitrary<Service> = fc.record({
    scheduler: fc.constantFrom("rr", "wlc", "sh"),
    servers: fc.dictionary(
        fc.constantFrom("22", "23", "24"),
        weight.map((each) => ({ weight: each, method: "dr" as const })),
        { maxKeys: 3, noNullPrototype: true },
    ),
});
const edits: Edited[] = ["weight", "scheduler", "service", "rule", "address", "setting", "own address", "arp"];
const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("serve" as const), stack, service }) },
    {
        weight: 4,
        arbitrary: fc.record({
            do: fc.constant("join" as const),
            stack,
            rule: fc.record({ weight, method: fc.constantFrom("dr" as const, "tun" as const) }),
        }),
    },
    {
        weight: 3,
        arbitrary: fc.record({ do: fc.constantFrom("rename" as const, "destroy" as const, "leave" as const), stack }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("repair" as const), stack }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("set" as const), stack, value: fc.constantFrom("0", "1") }) },
    {
        weight: 4,
        arbitrary: fc.record({
            do: fc.constant("edit" as const),
            stack,
            what: fc.constantFrom(...edits),
            value: fc.integer({ min: 0, max: 1 }),
        }),
    },
);

/** What a setting is, and what it was before anybody claimed it. */
class Setting {
    private found: string;

    private claims = 0;

    constructor(public value: string) {
        this.found = value;
    }

    /** `anew`: by somebody who has not claimed it yet. */
    claim(value: string, anew: boolean): void {
        if (anew && this.claims++ === 0) this.found = this.value;
        this.value = value;
    }

    /** `wanted` by the one who releases it. The last one puts back what was found, if it is still what was wanted. */
    release(wanted: string): void {
        if (--this.claims > 0) this.value = wanted;
        else if (this.value === wanted) this.value = this.found;
    }
}

/** What the two kernels have. */
interface Kernel {
    services: Map<number, Service>;
    /** The VIP on the director. */
    address: boolean;
    setting: Setting;
    /** The VIP on the real server's host, by the forwarding method that it is there for. */
    own: Set<Rule["method"]>;
    arp: Setting;
}

/** What a stack has declared and the engine has in its state. */
interface Declared {
    service?: Service;
    setting?: string;
    rule?: Rule;
}

const other = (who: Stack): Stack => (who === "shop" ? "blog" : "shop");

class Model {
    readonly kernel: Kernel = {
        services: new Map(),
        address: false,
        setting: new Setting("0"),
        own: new Set(),
        arp: new Setting("0"),
    };
    readonly declared: Record<Stack, Declared> = { shop: {}, blog: {} };

    serve(who: Stack, wanted: Service): void {
        this.declared[who].service = wanted;
        const separate = this.kernel.services.get(ports[who])?.servers[OWN];
        const servers = { ...wanted.servers, ...(separate === undefined ? {} : { [OWN]: separate }) };
        this.kernel.services.set(ports[who], { scheduler: wanted.scheduler, servers });
        this.kernel.address = true;
    }

    join(who: Stack, rule: Rule): void {
        const former = this.declared[who].rule;
        this.declared[who].rule = rule;
        this.kernel.services.get(ports[who])!.servers[OWN] = rule;
        this.kernel.own.add(rule.method);
        if (former !== undefined && former.method !== rule.method) this.giveUp(former.method);
        this.kernel.arp.claim("1", former === undefined);
    }

    leave(who: Stack): void {
        const { rule } = this.declared[who];
        if (rule === undefined) return;
        delete this.declared[who].rule;
        delete this.kernel.services.get(ports[who])?.servers[OWN];
        this.giveUp(rule.method);
        this.kernel.arp.release("1");
    }

    private giveUp(method: Rule["method"]): void {
        const wanted = stacks.some((each) => this.declared[each].rule?.method === method);
        if (!wanted) this.kernel.own.delete(method);
    }

    /** Whether the other stack wants another value, which is refused. */
    clashes(who: Stack, value: string): boolean {
        const others = this.declared[other(who)].setting;
        return others !== undefined && others !== value;
    }

    set(who: Stack, value: string): void {
        this.kernel.setting.claim(value, this.declared[who].setting === undefined);
        this.declared[who].setting = value;
    }

    destroy(who: Stack): void {
        this.leave(who);
        const { service: ours, setting } = this.declared[who];
        this.declared[who] = {};
        if (ours !== undefined) {
            this.kernel.services.delete(ports[who]);
            if (this.declared[other(who)].service === undefined) this.kernel.address = false;
        }
        if (setting !== undefined) this.kernel.setting.release(setting);
    }

    drifted(who: Stack): { service: boolean; setting: boolean; rule: boolean } {
        const { service: wanted, setting, rule } = this.declared[who];
        const have = this.kernel.services.get(ports[who]);
        const { [OWN]: separate, ...inline } = have?.servers ?? {};
        const same = have !== undefined && wanted !== undefined && show({ ...have, servers: inline }) === show(wanted);
        return {
            service: wanted !== undefined && !(same && this.kernel.address),
            setting: setting !== undefined && this.kernel.setting.value !== setting,
            rule:
                rule !== undefined &&
                !(
                    separate?.weight === rule.weight &&
                    separate.method === rule.method &&
                    this.kernel.own.has(rule.method) &&
                    this.kernel.arp.value === "1"
                ),
        };
    }
}

const show = ({ scheduler, servers }: Service): string =>
    `${scheduler} ${Object.entries(servers)
        .sort()
        .map(([server, rule]) => `${server}=${rule.weight} ${rule.method}`)
        .join(" ")}`;

let lab: Lab;
const processes: Partial<Record<Stack, ProviderProcess>> = {};
const on = async (host: "dir" | "web1", script: string): Promise<string> =>
    (await runScript(connectionSchema.parse(lab.hosts[host]), script, { timeout: 120 })).stdout;

/** The kernels in the model's words. */
async function kernels(): Promise<string[]> {
    const [dir, web1] = await Promise.all([
        on(
            "dir",
            `ipvsadm -Sn; ip -o addr show dev eth0 | grep -o '${VIP}/32'; sysctl -n ${SETTING}; ip route show proto 147; ls /var/lib | grep pulumi`,
        ),
        on(
            "web1",
            `ip -o addr show | awk '/ ${VIP}\\/32/ { print ($2 == "lo" ? "dr" : "tun") }'; sysctl -n ${Object.keys(ARP).join(" ")}; ls /var/lib | grep pulumi`,
        ),
    ]);
    return [dir, web1].flatMap((text, index) =>
        text.split("\n").flatMap((line) => (line === "" ? [] : [`${index === 0 ? "dir" : "web1"} ${line}`])),
    );
}

function expected({ kernel: { services, address, setting, own, arp }, declared }: Model): string[] {
    const rules = [...services].flatMap(([port, { scheduler, servers }]) => [
        `-A -t ${VIP}:${port} -s ${scheduler}`,
        ...Object.entries(servers).map(
            ([server, rule]) =>
                `-a -t ${VIP}:${port} -r 10.77.1.${server}:${port} ${rule.method === "dr" ? "-g" : "-i"} -w ${rule.weight}${rule.method === "dr" ? "" : " --tun-type ipip"}`,
        ),
    ]);
    const all = Object.values(declared);
    const claimed = all.some((each) => each.service !== undefined || each.setting !== undefined);
    return [
        ...[...rules, ...(address ? [`${VIP}/32`] : []), setting.value, ...(claimed ? ["pulumi-lvs"] : [])].map(
            (line) => `dir ${line}`,
        ),
        ...[
            ...own,
            ...(arp.value === "1" ? Object.values(ARP) : ["0", "0"]),
            ...(all.some(({ rule }) => rule !== undefined) ? ["pulumi-lvs"] : []),
        ].map((line) => `web1 ${line}`),
    ];
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts.json"));
    await Promise.all([lab.sh("dir", "modprobe ip_vs"), lab.sh("web1", "modprobe ipip")]);
});

afterAll(async () => {
    await Promise.all(Object.values(processes).map((each) => each.stop()));
    await closeAll();
    await lab?.down();
});

/** The provider's process of a stack; `fresh`: a new one, as for each operation of the engine. */
async function processOf(who: Stack, fresh = false): Promise<ProviderProcess> {
    if (fresh) {
        await processes[who]?.stop();
        delete processes[who];
    }
    processes[who] ??= await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("dir", "web1") });
    return processes[who];
}

const counted: Record<string, number> = {};

async function live(history: Step[]): Promise<void> {
    const model = new Model();
    const states: Record<Stack, { service?: State; director?: State; server?: State; names: number }> = {
        shop: { names: 0 },
        blog: { names: 0 },
    };
    const owner = (who: Stack, type: ResourceType, name: string) => ({
        owner: `organization/${who}/prod#${type}/${name}`,
    });
    const reference = (who: Stack) => ({ director: at, protocol: "tcp", address: VIP, port: ports[who] });
    const serviceInputs = (who: Stack, { scheduler, servers }: Service): Properties => ({
        ...{ ...reference(who), scheduler },
        realServers: Object.fromEntries(
            Object.entries(servers).map(([server, rule]) => [`10.77.1.${server}`, { weight: rule.weight }]),
        ),
        ...owner(who, "VirtualService", `web${states[who].names}`),
    });
    const serverInputs = (who: Stack, rule: Rule): Properties => ({
        ...{ service: reference(who), address: `10.77.1.${OWN}`, connection: "web1" },
        ...{ weight: rule.weight, forwarding: rule.method },
        ...owner(who, "RealServer", `own${states[who].names}`),
    });
    const put = async (
        type: ResourceType,
        who: Stack,
        state: State | undefined,
        inputs: Properties,
    ): Promise<State> => {
        const provider = await processOf(who);
        return state === undefined ? provider.create(type, inputs) : provider.update(state, inputs);
    };
    const destroy = async (who: Stack) => {
        const { service: ours, director, server } = states[who];
        const provider = await processOf(who);
        if (server !== undefined) await provider.delete(server);
        await Promise.all([ours, director].map((state) => state && provider.delete(state)));
        states[who] = { names: states[who].names };
        model.destroy(who);
    };
    for (const each of history) {
        const { stack: who } = each;
        const has = states[who];
        let name: string = each.do;
        if (each.do === "serve") {
            has.service = await put("VirtualService", who, has.service, serviceInputs(who, each.service));
            model.serve(who, each.service);
        } else if (each.do === "join") {
            if (model.declared[who].service === undefined) continue;
            const work = put("RealServer", who, has.server, serverInputs(who, each.rule));
            if (!model.kernel.services.has(ports[who])) {
                name = "join, without its service";
                await expect(work).rejects.toThrow("LVS-NO-SERVICE");
            } else {
                has.server = await work;
                model.join(who, each.rule);
            }
        } else if (each.do === "leave") {
            if (has.server === undefined) continue;
            await (await processOf(who)).delete(has.server);
            delete has.server;
            model.leave(who);
        } else if (each.do === "rename") {
            const { service: wanted, rule } = model.declared[who];
            if (has.service === undefined || wanted === undefined) continue;
            has.names++;
            const { service: formerService, server: formerServer } = has;
            const provider = await processOf(who, true);
            has.service = await provider.create("VirtualService", serviceInputs(who, wanted));
            model.serve(who, wanted);
            if (formerServer !== undefined && rule !== undefined) {
                has.server = await provider.create("RealServer", serverInputs(who, rule));
                model.join(who, rule);
                await provider.delete(formerServer);
            }
            await provider.delete(formerService);
            await processOf(who, true);
        } else if (each.do === "set") {
            const inputs = { ...at, sysctls: { [SETTING]: each.value }, ...owner(who, "Director", "dir") };
            const work = put("Director", who, has.director, inputs);
            if (model.clashes(who, each.value)) {
                name = "set, refused";
                await expect(work).rejects.toThrow("LVS-CLASH");
            } else {
                has.director = await work;
                model.set(who, each.value);
            }
        } else if (each.do === "destroy") await destroy(who);
        else if (each.do === "repair") {
            if (has.service === undefined && has.director === undefined) continue; // Without a service no real server.
            // What is read may be some seconds old within one process: a refresh has one of its own.
            const provider = await processOf(who, true);
            const drifted = model.drifted(who);
            for (const [part, differs] of [
                ["service", drifted.service],
                ["director", drifted.setting],
                ["server", drifted.rule],
            ] as const) {
                const state = has[part];
                if (state === undefined) continue;
                const found = await provider.read(state);
                if (found === undefined) throw new Error(`${state.id} is said to be gone`);
                expect([part, found.outputs["drift"] !== undefined]).toEqual([part, differs]);
                const { changes } = await provider.diff(found, state.inputs);
                expect([part, changes]).toEqual([part, differs]);
                if (changes) has[part] = await provider.update(found, state.inputs);
            }
            const { service: wanted, setting, rule } = model.declared[who];
            if (wanted !== undefined && drifted.service) model.serve(who, wanted);
            if (setting !== undefined) model.set(who, setting);
            if (rule !== undefined && drifted.rule) model.join(who, rule);
            if (Object.values(drifted).includes(true)) name = "repair of drift";
        } else {
            name = `edit ${each.what}`;
            const ours = model.kernel.services.get(ports[who]);
            const key = `-t ${VIP}:${ports[who]}`;
            const server = Object.keys(ours?.servers ?? {})[each.value];
            const rule = server === undefined ? undefined : ours?.servers[server];
            const words = `${key} -r 10.77.1.${server}:${ports[who]}`;
            if (each.what === "setting") {
                await on("dir", `sysctl -qw ${SETTING}=${each.value}`);
                model.kernel.setting.value = String(each.value);
            } else if (each.what === "arp" && model.kernel.arp.value === "1") {
                await on(
                    "web1",
                    `sysctl -qw ${Object.keys(ARP)
                        .map((name) => `${name}=0`)
                        .join(" ")}`,
                );
                model.kernel.arp.value = "0";
            } else if (each.what === "address" && model.kernel.address) {
                await on("dir", `ip addr del ${VIP}/32 dev eth0`);
                model.kernel.address = false;
            } else if (each.what === "own address" && model.kernel.own.has("dr")) {
                await on("web1", `ip addr del ${VIP}/32 dev lo`);
                model.kernel.own.delete("dr");
            } else if (each.what === "service" && ours !== undefined) {
                await on("dir", `ipvsadm -D ${key}`);
                model.kernel.services.delete(ports[who]);
            } else if (each.what === "scheduler" && ours !== undefined) {
                await on("dir", `ipvsadm -E ${key} -s dh`);
                ours.scheduler = "dh";
            } else if (each.what === "weight" && server !== undefined && rule !== undefined) {
                await on("dir", `ipvsadm -e ${words} ${rule.method === "dr" ? "-g" : "-i"} -w ${7 + each.value}`);
                ours!.servers[server] = { ...rule, weight: 7 + each.value };
            } else if (each.what === "rule" && server !== undefined) {
                await on("dir", `ipvsadm -d ${words}`);
                delete ours!.servers[server];
            } else continue;
        }
        counted[name] = (counted[name] ?? 0) + 1;
        expect([each, sorted(await kernels())]).toEqual([each, sorted(expected(model))]);
    }
    for (const who of stacks) await destroy(who);
    expect(sorted(await kernels())).toEqual(sorted(expected(model)));
    await on("dir", `sysctl -qw ${SETTING}=0`);
    await on(
        "web1",
        `sysctl -qw ${Object.keys(ARP)
            .map((name) => `${name}=0`)
            .join(" ")}`,
    );
}

const sorted = (lines: string[]): string[] => [...lines].sort();

test(
    "after every step of any history the kernels are what the model says",
    async () => {
        let histories = 0;
        const deadline = Date.now() + SECONDS * 1000;
        const all = fc.sample(fc.array(step, { minLength: 4, maxLength: 10 }), { numRuns: HISTORIES, seed });
        try {
            for (const history of all) {
                await live(history);
                histories++;
                if (Date.now() > deadline) break;
            }
        } finally {
            const steps = Object.values(counted).reduce((sum, each) => sum + each, 0);
            console.log(JSON.stringify({ seed, histories, steps, counted }));
        }
        expect(histories).toBeGreaterThan(0);
    },
    (SECONDS + 300) * 1000,
);
