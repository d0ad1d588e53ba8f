/**
 * Random histories of two stacks on one director, and of somebody who edits by hand beside them, against a small model:
 * after each step the kernel is what the model says. In the exhaustive run 300 histories; in `npm test` as many of them as
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

const stacks = ["shop", "blog"] as const;
type Stack = (typeof stacks)[number];
const ports: Record<Stack, number> = { shop: 80, blog: 443 };

/** A service: its scheduler, and its real servers' weights by the last part of their addresses. */
interface Service {
    scheduler: string;
    servers: Record<string, number>;
}

type Step =
    | { do: "serve"; stack: Stack; service: Service }
    | { do: "rename"; stack: Stack }
    | { do: "repair"; stack: Stack }
    | { do: "destroy"; stack: Stack }
    | { do: "set"; stack: Stack; value: string }
    | { do: "edit"; stack: Stack; what: "weight" | "scheduler" | "service" | "address" | "setting"; value: number };

const stack = fc.constantFrom(...stacks);
const service: fc.Arbitrary<Service> = fc.record({
    scheduler: fc.constantFrom("rr", "wlc", "sh"),
    servers: fc.dictionary(fc.constantFrom("21", "22", "23"), fc.integer({ min: 0, max: 3 }), {
        maxKeys: 3,
        noNullPrototype: true,
    }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("serve" as const), stack, service }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("rename" as const, "destroy" as const), stack }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("repair" as const), stack }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("set" as const), stack, value: fc.constantFrom("0", "1") }) },
    {
        weight: 4,
        arbitrary: fc.record({
            do: fc.constant("edit" as const),
            stack,
            what: fc.constantFrom(...(["weight", "scheduler", "service", "address", "setting"] as const)),
            value: fc.integer({ min: 0, max: 1 }),
        }),
    },
);

/** What the kernel has. */
interface Kernel {
    services: Map<number, Service>;
    address: boolean;
    setting: string;
}

/** What a stack has declared and the engine has in its state. */
interface Declared {
    service?: Service;
    setting?: string;
}

class Model {
    readonly kernel: Kernel = { services: new Map(), address: false, setting: "0" };
    readonly declared: Record<Stack, Declared> = { shop: {}, blog: {} };
    /** What the setting was before anybody claimed it. */
    private found = "0";

    serve(who: Stack, wanted: Service): void {
        this.declared[who].service = wanted;
        this.kernel.services.set(ports[who], { scheduler: wanted.scheduler, servers: { ...wanted.servers } });
        this.kernel.address = true;
    }

    /** Whether the other stack wants another value, which is refused. */
    clashes(who: Stack, value: string): boolean {
        const other = this.declared[who === "shop" ? "blog" : "shop"].setting;
        return other !== undefined && other !== value;
    }

    set(who: Stack, value: string): void {
        if (Object.values(this.declared).every(({ setting }) => setting === undefined))
            this.found = this.kernel.setting;
        this.declared[who].setting = value;
        this.kernel.setting = value;
    }

    destroy(who: Stack): void {
        const { service: ours, setting } = this.declared[who];
        this.declared[who] = {};
        const other = this.declared[who === "shop" ? "blog" : "shop"];
        if (ours !== undefined) {
            this.kernel.services.delete(ports[who]);
            if (other.service === undefined) this.kernel.address = false;
        }
        if (setting === undefined) return;
        if (other.setting !== undefined) this.kernel.setting = other.setting;
        else if (this.kernel.setting === setting) this.kernel.setting = this.found;
    }

    drifted(who: Stack): { service: boolean; setting: boolean } {
        const { service: wanted, setting } = this.declared[who];
        const have = this.kernel.services.get(ports[who]);
        // A real server that nobody declared is told, and is no drift; here there are none.
        const same = have !== undefined && wanted !== undefined && show(have) === show(wanted);
        return {
            service: wanted !== undefined && !(same && this.kernel.address),
            setting: setting !== undefined && this.kernel.setting !== setting,
        };
    }
}

const show = ({ scheduler, servers }: Service): string =>
    `${scheduler} ${Object.entries(servers)
        .sort()
        .map(([server, weight]) => `${server}=${weight}`)
        .join(" ")}`;

let lab: Lab;
const processes: Partial<Record<Stack, ProviderProcess>> = {};
const on = async (script: string): Promise<string> =>
    (await runScript(connectionSchema.parse(lab.hosts["dir"]), script, { timeout: 120 })).stdout;

/** The kernel in the model's words. */
async function kernel(): Promise<string[]> {
    const text = await on(
        `ipvsadm -Sn; ip -o addr show dev eth0 | grep -o '${VIP}/32'; sysctl -n ${SETTING}; ls /var/lib | grep pulumi`,
    );
    return text.split("\n").filter((line) => line !== "");
}

function expected({ kernel: { services, address, setting }, declared }: Model): string[] {
    const rules = [...services]
        .sort(([a], [b]) => a - b)
        .flatMap(([port, { scheduler, servers }]) => [
            `-A -t ${VIP}:${port} -s ${scheduler}`,
            ...Object.entries(servers).map(
                ([server, weight]) => `-a -t ${VIP}:${port} -r 10.77.1.${server}:${port} -g -w ${weight}`,
            ),
        ]);
    const claimed = Object.values(declared).some((each) => each.service !== undefined || each.setting !== undefined);
    return [...rules, ...(address ? [`${VIP}/32`] : []), setting, ...(claimed ? ["pulumi-lvs"] : [])];
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts.json"));
    await lab.sh("dir", "modprobe ip_vs");
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
    processes[who] ??= await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("dir") });
    return processes[who];
}

const counted: Record<string, number> = {};

async function live(history: Step[]): Promise<void> {
    const model = new Model();
    const states: Record<Stack, { service?: State; director?: State; names: number }> = {
        shop: { names: 0 },
        blog: { names: 0 },
    };
    const owner = (who: Stack, type: ResourceType, name: string) => ({
        owner: `organization/${who}/prod#${type}/${name}`,
    });
    const serviceInputs = (who: Stack, { scheduler, servers }: Service): Properties => ({
        ...{ director: at, protocol: "tcp", address: VIP, port: ports[who], scheduler },
        realServers: Object.fromEntries(
            Object.entries(servers).map(([server, weight]) => [`10.77.1.${server}`, { weight }]),
        ),
        ...owner(who, "VirtualService", `web${states[who].names}`),
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
        const { service: ours, director } = states[who];
        const provider = await processOf(who);
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
        } else if (each.do === "rename") {
            const wanted = model.declared[who].service;
            if (has.service === undefined || wanted === undefined) continue;
            has.names++;
            const provider = await processOf(who, true);
            const renamed = await provider.create("VirtualService", serviceInputs(who, wanted));
            await provider.delete(has.service);
            has.service = renamed;
            await processOf(who, true);
            model.serve(who, wanted);
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
            if (has.service === undefined && has.director === undefined) continue;
            // What is read may be some seconds old within one process: a refresh has one of its own.
            const provider = await processOf(who, true);
            const drifted = model.drifted(who);
            for (const [part, differs] of [
                ["service", drifted.service],
                ["director", drifted.setting],
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
            const { service: wanted, setting } = model.declared[who];
            if (wanted !== undefined && drifted.service) model.serve(who, wanted);
            if (setting !== undefined) model.kernel.setting = setting;
            if (drifted.service || drifted.setting) name = "repair of drift";
        } else {
            name = `edit ${each.what}`;
            const ours = model.kernel.services.get(ports[who]);
            const key = `-t ${VIP}:${ports[who]}`;
            const server = Object.keys(ours?.servers ?? {})[0];
            if (each.what === "setting") {
                await on(`sysctl -qw ${SETTING}=${each.value}`);
                model.kernel.setting = String(each.value);
            } else if (each.what === "address" && model.kernel.address) {
                await on(`ip addr del ${VIP}/32 dev eth0`);
                model.kernel.address = false;
            } else if (each.what === "service" && ours !== undefined) {
                await on(`ipvsadm -D ${key}`);
                model.kernel.services.delete(ports[who]);
            } else if (each.what === "scheduler" && ours !== undefined) {
                await on(`ipvsadm -E ${key} -s dh`);
                ours.scheduler = "dh";
            } else if (each.what === "weight" && ours !== undefined && server !== undefined) {
                await on(`ipvsadm -e ${key} -r 10.77.1.${server} -g -w ${7 + each.value}`);
                ours.servers[server] = 7 + each.value;
            } else continue;
        }
        counted[name] = (counted[name] ?? 0) + 1;
        expect([each, sorted(await kernel())]).toEqual([each, sorted(expected(model))]);
    }
    for (const who of stacks) await destroy(who);
    expect(sorted(await kernel())).toEqual(sorted(expected(model)));
    await on(`sysctl -qw ${SETTING}=0`);
}

const sorted = (lines: string[]): string[] => [...lines].sort();

test(
    "after every step of any history the kernel is what the model says",
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
