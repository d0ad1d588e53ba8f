/** A property below another one: `below("virtualServices[…]", "port")`; at the top `below("", "port")`. */
export function below(at: string, name: string): string {
    return at === "" ? name : `${at}.${name}`;
}

/** Whether a scheduler hashes clients to real servers, and keeps to it when one of them takes none. */
export function lacksFallback(scheduler: string, flags: readonly string[]): boolean {
    return (scheduler === "sh" || scheduler === "mh") && !flags.includes(`${scheduler}-fallback`);
}
