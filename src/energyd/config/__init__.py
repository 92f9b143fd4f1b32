"""The files a person writes: energyd.yaml and the policies, read whole or with every fault named."""
