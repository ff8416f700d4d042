/** A plan as the people who run a bot write it: every phase and every trigger that a file can have. */
export const manualPlan = `rollout_strategy:
  type: "canary"
  phases:
    - name: "internal_testing"
      percentage: 0
      target_guilds: ["81384788765712384", '110373943822540800']
      duration: "24h"
    - name: "beta"
      percentage: 5
      target_guilds:
        - "222078108977594368"
      duration: "48h"
    - name: "gradual_rollout"
      percentage: [10, 25, 50, 75]
      duration_per_phase: "1d12h"
    - name: "full"
      percentage: 100
      duration: "7d"
  rollback_triggers:
    - error_rate_increase: 20%
    - response_time_degradation: 50%
    - user_complaints: 5
`
