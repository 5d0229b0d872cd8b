# tflint --recursive --config "$PWD/.tflint.hcl"
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Roots name the providers of the module that they call, or a test could not mock them.
rule "terraform_unused_required_providers" {
  enabled = false
}

# group_status only warns: it has nothing to put out.
rule "terraform_standard_module_structure" {
  enabled = false
}
