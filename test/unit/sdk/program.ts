/** Runs a program under Pulumi's mocks and says what was registered. */
import * as pulumi from "@pulumi/pulumi";
import { getMonitor } from "@pulumi/pulumi/runtime/settings";

/** A resource as the engine would get it. */
export interface Registered {
    type: string;
    name: string;
    /** As they go to the engine: a secret stands as `{ secret: value }`, what is not known as `UNKNOWN`. */
    inputs: Record<string, unknown>;
    /** Names of the resources that it waits for. */
    dependsOn: string[];
}

export interface Options {
    preview?: boolean;
    config?: Record<string, string>;
    organization?: string;
    /** Output-only properties of every resource. Default: none, as in a preview. */
    outputs?: Record<string, unknown>;
}

/** Runs the program and returns what was registered, by `Type name`. */
export async function run(program: () => unknown, options: Options = {}): Promise<Record<string, Registered>> {
    const seen: Registered[] = [];
    await pulumi.runtime.setMocks(
        {
            newResource: ({ name, inputs }) => ({
                id: options.preview ? undefined : `${name}-id`,
                state: { ...inputs, ...options.outputs },
            }),
            call: () => ({}),
        },
        "shop",
        "prod",
        options.preview ?? false,
        options.organization ?? "acme",
    );
    pulumi.runtime.setAllConfig(options.config ?? {});
    const monitor = getMonitor() as unknown as { registerResource(request: Request, reply: unknown): Promise<void> };
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (request, reply) => {
        seen.push({
            type: request.getType(),
            name: request.getName(),
            inputs: withSecrets(request.getObject().toJavaScript()) as Record<string, unknown>,
            dependsOn: request.getDependenciesList().map((urn) => urn.split("::")[3]!),
        });
        return register(request, reply);
    };
    await program();
    await settled(seen);
    const entries = seen.map((one) => [`${one.type.split(":").at(-1)} ${one.name}`, one] as const);
    expect(new Set(entries.map(([key]) => key)).size).toBe(entries.length);
    return Object.fromEntries(entries);
}

interface Request {
    getType(): string;
    getName(): string;
    getObject(): { toJavaScript(): unknown };
    getDependenciesList(): string[];
}

/** The engine's mark of a secret. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";

function withSecrets(value: unknown): unknown {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(withSecrets);
    if (SIGNATURE in value) return { secret: withSecrets((value as unknown as { value: unknown }).value) };
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withSecrets(each)]));
}

/** Registrations are asynchronous, and one waits for another: until nothing more comes. */
async function settled(seen: unknown[]): Promise<void> {
    for (let quiet = 0, count = -1; quiet < 3; quiet = seen.length === count ? quiet + 1 : 0) {
        count = seen.length;
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
}
