import type { Values } from "./host";

/** A command: what it is for, and what it does with its arguments; it returns the exit status. */
export interface Command {
    usage: string;
    run(positionals: string[], values: Values): Promise<number>;
}
