"""The parts of tests.aliyun_server: signatures, faults, and the actions of CAS and CDN."""
