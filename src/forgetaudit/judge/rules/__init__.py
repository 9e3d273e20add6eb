"""How each rule of the gate is judged: a rule and a section of the report, to a result with its reason."""
