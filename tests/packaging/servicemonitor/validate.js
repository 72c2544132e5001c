// The real schema of a ServiceMonitor or a PrometheusRule, which is read from standard input as JSON; ends with an error
// where it does not fit.
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import { readFileSync } from "node:fs";

const document = JSON.parse(readFileSync(0, "utf8"));
new { PrometheusRule, ServiceMonitor }[document.kind](document).validate();
