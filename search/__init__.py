"""Studies kept in SQL: the engine that runs them and the commands people use."""
