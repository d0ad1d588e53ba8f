/**
 * What an operation costs the hosts: handshakes, scripts, processes. The handlers run in this process, as many at once
 * as the engine runs on a machine of two cores, and every operation of the engine has modules of its own, as there it
 * has a process of its own.
 */
import { join } from "node:path";
import type { Handler } from "../../provider/dynamic/handler";
import { type Lab, startLab } from "../support/lab";

interface Modules {
    dynamic: { director: Handler; virtualService: Handler; realServer: Handler };
    session: { counters: { handshakes: number; scripts: number }; closeAll(): Promise<void> };
}

type Type = keyof Modules["dynamic"];
type Properties = Record<string, unknown>;

interface Resource {
    type: Type;
    inputs: Properties;
    id?: string;
    outputs?: Properties;
}

const SERVICES = 10;
const SERVERS = 10;
/** The engine's: four for each core. */
const PARALLEL = 8;
/** The director, and the one real server whose own side is set up. */
const HOSTS = 2;
/** Every service and every rule, and the director. */
const RESOURCES = 1 + SERVICES + SERVICES * SERVERS;
/** What a batch takes off the queue is what waits: never more than run at once. Each of the hosts is also looked at. */
const BATCHES = Math.ceil(RESOURCES / PARALLEL) + Math.ceil(SERVICES / PARALLEL) + 2 * HOSTS;

let lab: Lab;

const directorInputs = { name: "dir", connection: "dir", interface: "eth0" };
const owner = (type: string, name: string) => ({ owner: `organization/shop/prod#${type}/${name}` });

const director: Resource = { type: "director", inputs: { ...directorInputs, ...owner("Director", "dir") } };
const services = Array.from({ length: SERVICES }, (_, index): Resource => {
    const inputs = { director: directorInputs, protocol: "tcp", address: "10.77.1.100", port: 8000 + index };
    return { type: "virtualService", inputs: { ...inputs, ...owner("VirtualService", `web${index}`) } };
});
const servers = services.flatMap(({ inputs }, service) =>
    Array.from({ length: SERVERS }, (_, index): Resource => {
        const reference = {
            director: { name: "dir", connection: "dir" },
            ...{ protocol: "tcp", address: "10.77.1.100", port: inputs["port"] },
        };
        const own = index === 0 ? { connection: "web1" } : {};
        const name = owner("RealServer", `web${service}-${index}`);
        return {
            type: "realServer",
            inputs: { service: reference, address: `10.77.1.${21 + index}`, ...own, ...name },
        };
    }),
);

/** One operation of the engine: what it costs. */
async function operation(
    generations: Resource[][],
    work: (handler: Handler, resource: Resource) => Promise<unknown>,
): Promise<{ handshakes: number; scripts: number; processes: number }> {
    jest.resetModules();
    const dynamic = require("../../provider/dynamic") as Modules["dynamic"];
    const { counters, closeAll } = require("../../provider/ssh/session") as Modules["session"];
    const hosts = lab.lvsHosts("dir", "web1");
    for (const handler of Object.values(dynamic)) {
        handler.configure({ config: { get: (key) => (key === "lvs:hosts" ? hosts : undefined) } });
    }
    const idle = await processes();
    const before = await processes();
    for (const generation of generations) {
        const waiting = [...generation];
        const worker = async (): Promise<void> => {
            for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
                await work(dynamic[next.type], next);
            }
        };
        await Promise.all(Array.from({ length: PARALLEL }, worker));
    }
    const { handshakes, scripts } = counters;
    await closeAll();
    const after = await processes();
    return { handshakes, scripts, processes: after - before - (before - idle) };
}

/** Processes that the lab has started since it was booted: its hosts share a kernel. */
const processes = async (): Promise<number> =>
    Number((await lab.sh("client", "sed -n 's/^processes //p' /proc/stat")).trim());

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts.json"));
});

afterAll(async () => {
    await lab?.down();
});

const measured: Record<string, unknown> = {};
afterAll(() => console.log(JSON.stringify(measured)));

test("up: one handshake for each host, a script for each batch, processes by scripts and not by rules", async () => {
    const cost = await operation([[director], services, servers], async (handler, resource) => {
        const { inputs, failures } = await handler.check({}, resource.inputs);
        expect(failures).toEqual([]);
        resource.inputs = inputs;
        const { id, outs } = await handler.create(inputs);
        Object.assign(resource, { id, outputs: outs });
    });
    measured["up"] = cost;
    expect(await lab.sh("dir", "ipvsadm -Sn | grep -c -- '-r'")).toBe(`${SERVICES * SERVERS}\n`);
    expect(cost.handshakes).toBe(HOSTS);
    expect(cost.scripts).toBeLessThanOrEqual(2 * BATCHES);
    expect(cost.processes).toBeLessThanOrEqual(60 * cost.scripts);
});

test("the state of a real server with a named connection is small", () => {
    const { inputs, outputs } = servers[0]!;
    const bytes = JSON.stringify(inputs).length + JSON.stringify(outputs).length;
    measured["state of a RealServer"] = bytes;
    expect(bytes).toBeLessThanOrEqual(800);
});

test("unchanged up: nothing at all", async () => {
    const cost = await operation([[director, ...services, ...servers]], async (handler, resource) => {
        const { inputs, failures } = await handler.check({}, resource.inputs);
        expect(failures).toEqual([]);
        const { changes } = await handler.diff(resource.id!, resource.outputs!, inputs);
        expect(changes).toBe(false);
    });
    measured["unchanged up"] = cost;
    expect(cost).toMatchObject({ handshakes: 0, scripts: 0 });
});

test("refresh: one handshake and a look or two for each host", async () => {
    const cost = await operation([[director, ...services, ...servers]], async (handler, resource) => {
        const { id, props } = await handler.read(resource.id!, resource.outputs!);
        expect(id).toBe(resource.id);
        expect(props).toEqual(resource.outputs);
    });
    measured["refresh"] = cost;
    expect(cost.handshakes).toBe(HOSTS);
    expect(cost.scripts).toBeLessThanOrEqual(4 * HOSTS);
    expect(cost.processes).toBeLessThanOrEqual(60 * cost.scripts);
});

test("destroy: one handshake for each host, a script for each batch", async () => {
    const cost = await operation([servers, services, [director]], (handler, resource) =>
        handler.delete(resource.id!, resource.outputs!),
    );
    measured["destroy"] = cost;
    expect(await lab.sh("dir", "ipvsadm -Sn; ls -A /var/lib | grep pulumi-lvs || true")).toBe("");
    expect(cost.handshakes).toBe(HOSTS);
    expect(cost.scripts).toBeLessThanOrEqual(2 * BATCHES);
    expect(cost.processes).toBeLessThanOrEqual(60 * cost.scripts);
});
