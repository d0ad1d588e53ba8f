/** The real process that the engine starts for dynamic resources, driven over gRPC as the engine drives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import * as rpc from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { type ResourceType, shim } from "../../../provider/dynamic/shim";
import { root } from "../../support/lab";

export type Properties = Record<string, unknown>;

export interface Failure {
    property: string;
    reason: string;
}

/** A resource as the engine's state has it. */
export interface State {
    type: ResourceType;
    id: string;
    inputs: Properties;
    outputs: Properties;
}

export class ProviderProcess {
    private said = "";
    private readonly ended: Promise<void>;

    private constructor(
        private readonly child: ChildProcess,
        private readonly client: rpc.ResourceProviderClient,
    ) {
        for (const stream of [child.stdout, child.stderr]) {
            stream?.on("data", (text: string) => {
                this.said += text;
            });
        }
        this.ended = new Promise((resolve) => child.once("close", () => resolve()));
    }

    /** @param config the stack's config, such as `lvs:hosts` */
    static async start(config: Record<string, string>): Promise<ProviderProcess> {
        const main = join(root, "node_modules", "@pulumi", "pulumi", "cmd", "dynamic-provider", "index.js");
        const child = spawn(process.execPath, [main, "127.0.0.1:1"], {
            cwd: root,
            stdio: ["pipe", "pipe", "pipe"],
        });
        const port = await new Promise<string>((resolve, reject) => {
            child.stderr?.setEncoding("utf8");
            child.stdout?.setEncoding("utf8").once("data", (text: string) => resolve(text.trim()));
            child.once("close", () => reject(new Error("the provider process ended at once")));
        });
        const client = new rpc.ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
        const self = new ProviderProcess(child, client);
        const request = new proto.ConfigureRequest();
        request.setArgs(Struct.fromJavaScript(config as never));
        await self.call(client.configure, request);
        return self;
    }

    /** What the process printed since the last time. */
    output(): string {
        const text = this.said;
        this.said = "";
        return text;
    }

    async check(type: ResourceType, news: Properties, olds: Properties = {}): Promise<Checked> {
        const request = new proto.CheckRequest();
        request.setOlds(struct(type, olds));
        request.setNews(struct(type, news));
        const response = await this.call<proto.CheckRequest, proto.CheckResponse>(this.client.check, request);
        return {
            inputs: plain(response.getInputs()),
            failures: response
                .getFailuresList()
                .map((failure) => ({ property: failure.getProperty(), reason: failure.getReason() })),
        };
    }

    /** Whether something changes, and the properties that make it a replacement. */
    async diff(state: State, news: Properties): Promise<{ changes: boolean; replaces: string[] }> {
        const request = new proto.DiffRequest();
        request.setId(state.id);
        request.setOlds(struct(state.type, state.outputs));
        request.setOldInputs(struct(state.type, state.inputs));
        request.setNews(struct(state.type, news));
        const response = await this.call<proto.DiffRequest, proto.DiffResponse>(this.client.diff, request);
        return {
            changes: response.getChanges() === proto.DiffResponse.DiffChanges.DIFF_SOME,
            replaces: response.getReplacesList(),
        };
    }

    /** Check, then create. */
    async create(type: ResourceType, news: Properties): Promise<State> {
        const inputs = await this.checked(type, news);
        const request = new proto.CreateRequest();
        request.setProperties(struct(type, inputs));
        const response = await this.call<proto.CreateRequest, proto.CreateResponse>(this.client.create, request);
        return { type, id: response.getId(), inputs, outputs: plain(response.getProperties()) };
    }

    /** As refresh does; undefined: the resource is gone. */
    async read(state: State): Promise<State | undefined> {
        const request = new proto.ReadRequest();
        request.setId(state.id);
        request.setProperties(struct(state.type, state.outputs));
        request.setInputs(struct(state.type, state.inputs));
        const response = await this.call<proto.ReadRequest, proto.ReadResponse>(this.client.read, request);
        if (response.getId() === "") return undefined;
        const inputs = response.hasInputs() ? plain(response.getInputs()) : state.inputs;
        return { ...state, inputs, outputs: plain(response.getProperties()) };
    }

    /** Check, then update. */
    async update(state: State, news: Properties): Promise<State> {
        const inputs = await this.checked(state.type, news);
        const request = new proto.UpdateRequest();
        request.setId(state.id);
        request.setOlds(struct(state.type, state.outputs));
        request.setOldInputs(struct(state.type, state.inputs));
        request.setNews(struct(state.type, inputs));
        const response = await this.call<proto.UpdateRequest, proto.UpdateResponse>(this.client.update, request);
        return { ...state, inputs, outputs: plain(response.getProperties()) };
    }

    async delete(state: State): Promise<void> {
        const request = new proto.DeleteRequest();
        request.setId(state.id);
        request.setProperties(struct(state.type, state.outputs));
        await this.call(this.client.delete, request);
    }

    /** Ends the process: in order, or as a crash does. */
    async stop(signal: "SIGINT" | "SIGKILL" = "SIGINT"): Promise<void> {
        this.child.kill(signal);
        await this.ended;
        this.client.close();
    }

    /** Whether the process ends by itself, in so many milliseconds, once its engine is gone without a word. */
    async endsAlone(within: number): Promise<boolean> {
        this.child.stdin?.destroy();
        return Promise.race([this.ended.then(() => true), sleep(within, false, { ref: false })]);
    }

    private async checked(type: ResourceType, news: Properties): Promise<Properties> {
        const { inputs, failures } = await this.check(type, news);
        if (failures.length > 0) throw new Error(`check: ${JSON.stringify(failures)}`);
        return inputs;
    }

    private call<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> {
        return new Promise((resolve, reject) => {
            method.call(this.client, request, (error, response) => {
                if (error === null) resolve(response);
                else reject(failure(error));
            });
        });
    }
}

export interface Checked {
    inputs: Properties;
    failures: Failure[];
}

type Method<Request, Response> = (
    request: Request,
    callback: (error: grpc.ServiceError | null, response: Response) => void,
) => unknown;

/** How an operation failed. */
export interface Refusal extends Error {
    /** Whether the engine would keep the resource in its state. */
    left: boolean;
    /** What it would keep. */
    kept?: { id: string; outputs: Properties };
}

function failure(error: grpc.ServiceError): Refusal {
    const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
    return Object.defineProperty(Object.assign(new Error(error.details), { left: details !== undefined }), "kept", {
        get() {
            if (details === undefined) return undefined;
            const [detail] = Status.deserializeBinary(details as Buffer).getDetailsList();
            const failed = proto.ErrorResourceInitFailed.deserializeBinary(detail!.getValue_asU8());
            return { id: failed.getId(), outputs: plain(failed.getProperties()) };
        },
    });
}

function struct(type: ResourceType, properties: Properties): Struct {
    return Struct.fromJavaScript({ ...properties, __provider: shim[type] } as never);
}

function plain(value: Struct | undefined): Properties {
    const { __provider: _, ...properties } = (value?.toJavaScript() ?? {}) as Properties;
    return properties;
}
