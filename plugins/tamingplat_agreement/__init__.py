"""How well images agree with the conditions that they were made for, beside other conditions."""
