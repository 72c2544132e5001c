// The real schema of a ServiceMonitor, read from standard input as JSON; ends with an error where it does not fit.
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import { readFileSync } from "node:fs";

new ServiceMonitor(JSON.parse(readFileSync(0, "utf8"))).validate();
