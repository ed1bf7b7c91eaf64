terraform {
  # 1.9: a variable's validation may look at other variables.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Everything here is tried on 5.100.0; nothing that 6 removed is used.
      version = ">= 5.80, < 7.0"
    }
  }
}
